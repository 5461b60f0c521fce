//! gzip (RFC 1952), so that a backup opens with the tools that every host has. One member, no name
//! and no time in its head; the checksum at its end is looked at.

use std::io::{self, Read, Write};

use miniz_oxide::DataFormat;
use miniz_oxide::deflate::CompressionLevel;
use miniz_oxide::deflate::core::{CompressorOxide, TDEFLFlush, TDEFLStatus, compress_to_output};
use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_HAS_MORE_INPUT;
use miniz_oxide::inflate::core::{DecompressorOxide, TINFL_LZ_DICT_SIZE, decompress};

/// Deflate, no flags, no time, no promise about effort, of no known system.
const HEAD: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
/// What is read at once.
const PIECE: usize = 16 * 1024;

/// Packs what is written to it.
pub(super) struct Packer<W> {
    out: W,
    deflate: Box<CompressorOxide>,
    crc: crc32fast::Hasher,
    /// Modulo 2^32, as the format has it.
    bytes: u32,
}

impl<W: Write> Packer<W> {
    pub(super) fn new(mut out: W) -> io::Result<Packer<W>> {
        out.write_all(&HEAD)?;
        let deflate =
            CompressorOxide::with_format_and_level(DataFormat::Raw, CompressionLevel::DefaultLevel);
        let crc = crc32fast::Hasher::new();
        Ok(Packer { out, deflate: Box::new(deflate), crc, bytes: 0 })
    }

    fn push(&mut self, bytes: &[u8], flush: TDEFLFlush) -> io::Result<usize> {
        let mut fault = None;
        let (status, taken) = compress_to_output(&mut self.deflate, bytes, flush, |packed| {
            fault = self.out.write_all(packed).err();
            fault.is_none()
        });
        match (fault, status) {
            (Some(fault), _) => Err(fault),
            (None, TDEFLStatus::Okay | TDEFLStatus::Done) => Ok(taken),
            (None, _) => Err(io::Error::other("it cannot be packed")),
        }
    }

    /// Writes the end; gives back what it wrote to.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.push(&[], TDEFLFlush::Finish)?;
        self.out.write_all(&self.crc.finalize().to_le_bytes())?;
        self.out.write_all(&self.bytes.to_le_bytes())?;
        Ok(self.out)
    }
}

impl<W: Write> Write for Packer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.push(bytes, TDEFLFlush::None)?;
        let taken_bytes = bytes.get(..taken).unwrap_or(bytes);
        self.crc.update(taken_bytes);
        // Pieces are far smaller than 2^32.
        self.bytes = self.bytes.wrapping_add(u32::try_from(taken).unwrap_or(0));
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// Unpacks what it reads. The end of the stream is its end only if the checksum is right and
/// nothing follows.
pub(super) struct Unpacker<R> {
    from: R,
    inflate: Box<DecompressorOxide>,
    /// What was read and not taken yet.
    piece: Box<[u8]>,
    taken: usize,
    read: usize,
    is_at_end: bool,
    /// What came out, in a ring of the reach of back references.
    ring: Box<[u8]>,
    /// Where the next output goes.
    at: usize,
    /// What of the ring waits to be handed out.
    ready: std::ops::Range<usize>,
    is_done: bool,
    crc: crc32fast::Hasher,
    bytes: u32,
}

fn damaged(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

impl<R: Read> Unpacker<R> {
    pub(super) fn new(mut from: R) -> io::Result<Unpacker<R>> {
        let mut head = [0; HEAD.len()];
        from.read_exact(&mut head).map_err(|_| damaged("it is too short to be a backup"))?;
        if head != HEAD {
            return Err(damaged("it is not packed as a backup is"));
        }
        Ok(Unpacker {
            from,
            inflate: Box::new(DecompressorOxide::new()),
            piece: vec![0; PIECE].into(),
            taken: 0,
            read: 0,
            is_at_end: false,
            ring: vec![0; TINFL_LZ_DICT_SIZE].into(),
            at: 0,
            ready: 0..0,
            is_done: false,
            crc: crc32fast::Hasher::new(),
            bytes: 0,
        })
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.taken == self.read && !self.is_at_end {
            (self.taken, self.read) = (0, self.from.read(&mut self.piece)?);
            self.is_at_end = self.read == 0;
        }
        Ok(())
    }

    fn step(&mut self) -> io::Result<()> {
        self.fill()?;
        let input = self.piece.get(self.taken..self.read).unwrap_or_default();
        let flags = if self.is_at_end { 0 } else { TINFL_FLAG_HAS_MORE_INPUT };
        let from = self.at;
        let (status, read, written) =
            decompress(&mut self.inflate, input, &mut self.ring, from, flags);
        self.taken += read;
        self.ready = from..from + written;
        self.at = (from + written) % TINFL_LZ_DICT_SIZE;
        let fresh = self.ring.get(self.ready.clone()).unwrap_or_default();
        self.crc.update(fresh);
        self.bytes = self.bytes.wrapping_add(u32::try_from(written).unwrap_or(0));
        match status {
            TINFLStatus::Done => {
                self.is_done = true;
                self.check_end()
            }
            TINFLStatus::NeedsMoreInput if self.is_at_end => Err(damaged("it is cut off")),
            TINFLStatus::NeedsMoreInput | TINFLStatus::HasMoreOutput => Ok(()),
            TINFLStatus::FailedCannotMakeProgress if self.is_at_end => {
                Err(damaged("it is cut off"))
            }
            _ => Err(damaged("its packing is damaged")),
        }
    }

    fn check_end(&mut self) -> io::Result<()> {
        let mut end = [0; 8];
        for byte in &mut end {
            self.fill()?;
            let next = self.piece.get(self.taken).filter(|_| self.taken < self.read);
            *byte = *next.ok_or_else(|| damaged("it is cut off"))?;
            self.taken += 1;
        }
        let [crc, bytes] = [[end[0], end[1], end[2], end[3]], [end[4], end[5], end[6], end[7]]];
        let is_right = u32::from_le_bytes(crc) == self.crc.clone().finalize()
            && u32::from_le_bytes(bytes) == self.bytes;
        if !is_right {
            return Err(damaged("its checksum is wrong"));
        }
        self.fill()?;
        if self.taken < self.read { Err(damaged("something follows its end")) } else { Ok(()) }
    }
}

impl<R: Read> Read for Unpacker<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            if self.is_done || into.is_empty() {
                return Ok(0);
            }
            self.step()?;
        }
        let count = self.ready.len().min(into.len());
        let ready = self.ring.get(self.ready.start..self.ready.start + count).unwrap_or_default();
        into.get_mut(..ready.len()).unwrap_or_default().copy_from_slice(ready);
        self.ready.start += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new()).unwrap();
        packer.write_all(bytes).unwrap();
        packer.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        Unpacker::new(bytes)?.read_to_end(&mut out)?;
        Ok(out)
    }

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut rng = crate::base::Rng::new(7);
        for size in [0, 1, 511, 32 * 1024, 100_000, 300_000] {
            let bytes: Vec<u8> = (0..size)
                .map(|at| if at % 3 == 0 { u8::try_from(rng.below(256)).unwrap() } else { 7 })
                .collect();
            assert_eq!(unpacked(&packed(&bytes)).unwrap(), bytes, "{size}");
        }
    }

    #[test]
    fn gzip_reads_it() {
        let mut child = Command::new("gzip")
            .arg("-dc")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(&packed(&[b'x'; 1000])).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success() && output.stdout == [b'x'; 1000]);
    }

    #[test]
    fn an_end_that_is_missing_wrong_or_not_the_end_is_seen() {
        let whole = packed(&[b'x'; 1000]);
        for length in 0..whole.len() {
            assert!(unpacked(&whole[..length]).is_err(), "{length}");
        }
        let more = [whole.as_slice(), b"x"].concat();
        assert!(unpacked(&more).unwrap_err().to_string().contains("follows its end"));
    }
}
