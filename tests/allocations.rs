//! From the wire to the message, nothing is allocated: memory does not depend on what is said.
#![allow(unsafe_code, reason = "only an allocator can count allocations, and its trait is unsafe")]

use barnacle::core::chat::{ChannelKind, ChatId, Inbound};
use barnacle::core::intent::{Filter, Memory};
use barnacle::proto::discord::gateway::{Dispatch, Signal};
use barnacle::proto::discord::model::Decoder;
use barnacle::proto::inflate::Inflater;
use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, compress_to_output, create_comp_flags_from_zip_params,
};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The system's allocator, with a count per thread: other tests run on other threads.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    // A thread that is ending has no count any more, and nobody who would read it.
    let _ = ALLOCATIONS.try_with(|allocations| allocations.set(allocations.get() + 1));
}

// SAFETY: every call goes on to the system's allocator as it came; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(block, layout, size) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn allocations_of(work: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    work();
    ALLOCATIONS.get() - before
}

const MESSAGE: &str = include_str!("data/message_create.json");
const MESSAGES: u64 = 1000;

/// What a server sends: many messages of about 2.9 KB, no two alike, through one zlib stream.
fn packed_messages() -> Vec<Vec<u8>> {
    let mut server = CompressorOxide::new(create_comp_flags_from_zip_params(6, 15, 0));
    let pack = |seq: u64| {
        let text = MESSAGE.replace("\"s\":42", &format!("\"s\":{seq}"));
        let mut packed = Vec::new();
        compress_to_output(&mut server, text.as_bytes(), TDEFLFlush::Sync, |part| {
            packed.extend_from_slice(part);
            true
        });
        packed
    };
    (1..=MESSAGES).map(pack).collect()
}

#[test]
fn a_message_costs_no_allocation_from_inflate_to_its_fields() {
    let packed = packed_messages();
    let (mut inflater, mut decoder) = (Inflater::new(), Decoder::new());
    decoder.set_me(1_098_765_432_109_876_543);
    let mut seen = 0;
    let allocations = allocations_of(|| {
        for message in &packed {
            decoder.begin();
            for window in message.chunks(1460) {
                inflater.feed(window, &mut |plain| decoder.feed(plain)).unwrap();
            }
            decoder.end();
            let Signal::Dispatch { seq, event: Dispatch::Other } = decoder.signal() else {
                continue;
            };
            let heard = decoder.message().is_some_and(|message| message.mentions_us);
            seen += u64::from(heard && seq == seen + 1);
        }
    });
    assert_eq!((seen, allocations), (MESSAGES, 0));
}

#[test]
fn a_large_message_costs_no_allocation_either() {
    let item = format!("{{\"id\":\"1\",\"name\":\"{}\"}},", "x".repeat(500));
    let large = format!(
        "{{\"t\":\"GUILD_CREATE\",\"s\":1,\"op\":0,\"d\":{{\"roles\":[{}0]}}}}",
        item.repeat(10_000)
    );
    let mut decoder = Decoder::new();
    let allocations = allocations_of(|| {
        decoder.begin();
        large.as_bytes().chunks(8192).for_each(|window| decoder.feed(window));
        decoder.end();
    });
    assert_eq!((decoder.seq(), decoder.fault(), allocations), (Some(1), None, 0));
}

#[test]
fn whether_a_message_is_meant_for_us_costs_no_allocation() {
    let (filter, mut memory) = (Filter::default(), Memory::default());
    let texts = ["lol same", "Barney, how do I list the open ports?", "```x``` <@5> ¿y tú?", ""];
    let mut meant = 0;
    let allocations = allocations_of(|| {
        for (id, text) in (0..MESSAGES).zip(texts.into_iter().cycle()) {
            let inbound = Inbound {
                chat: ChatId { channel: ChannelKind::Discord, id: id % 700 },
                id: id << 22,
                seq: id,
                guild: Some(9),
                parent: None,
                author: id % 7,
                author_name: "Ann Ä",
                roles: &[],
                from_bot: false,
                from_self: id % 5 == 0,
                mentions_us: false,
                reply_to: id.checked_sub(3).map(|id| id << 22),
                mentions: &[],
                called: None,
                reply_author: None,
                late: false,
                text,
                text_cut: false,
                has_more: false,
                attachments: &[],
            };
            let is_meant = filter.judge(&memory, &inbound, None).is_some_and(|it| it.is_ok());
            memory.hear(&inbound, is_meant);
            meant += u64::from(is_meant);
        }
    });
    assert!(meant > 0 && meant < MESSAGES, "{meant}");
    assert_eq!(allocations, 0);
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations_of(|| drop(std::hint::black_box(Box::new(1)))), 1);
    assert_eq!(allocations_of(|| drop(Inflater::new())), 2);
}
