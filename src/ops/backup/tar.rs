//! The part of tar (POSIX.1-1988, `ustar`) that a backup needs: regular files with short names.
//! Anything else in an archive (links, devices, directories, long names) is refused.

use std::io::{self, Read};

/// Everything in a tar comes in blocks of this many bytes.
pub(super) const BLOCK: usize = 512;
/// What a header has room for, before and after a slash.
const PREFIX_BYTES: usize = 155;
const NAME_BYTES: usize = 100;
/// Two empty blocks are the end.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// The header of a file, readable by its owner only; `None` if the name does not fit.
pub(super) fn header(name: &str, bytes: u64, seconds: u64) -> Option<[u8; BLOCK]> {
    let (prefix, name) = split(name)?;
    let mut block = [0; BLOCK];
    let mut put = |at: usize, text: &[u8]| -> Option<()> {
        block.get_mut(at..at + text.len())?.copy_from_slice(text);
        Some(())
    };
    put(0, name.as_bytes())?;
    put(100, b"0000600\0")?;
    put(108, b"0000000\0")?;
    put(116, b"0000000\0")?;
    put(124, format!("{bytes:011o}\0").get(..12)?.as_bytes())?;
    put(136, format!("{seconds:011o}\0").get(..12)?.as_bytes())?;
    put(148, b"        ")?;
    put(156, b"0")?;
    put(257, b"ustar\x0000")?;
    put(345, prefix.as_bytes())?;
    let sum = format!("{:06o}\0 ", sum(&block));
    block.get_mut(148..156)?.copy_from_slice(sum.as_bytes());
    // Eleven octal digits are 8 GiB; what is larger is no state of ours.
    (bytes < 1 << 33).then_some(block)
}

fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME_BYTES {
        return Some(("", name));
    }
    let cuts = name.match_indices('/').map(|(at, _)| at);
    let cut = cuts.filter(|&at| at <= PREFIX_BYTES && name.len() - at - 1 <= NAME_BYTES).max()?;
    Some((name.get(..cut)?, name.get(cut + 1..)?))
}

fn sum(block: &[u8; BLOCK]) -> u32 {
    let bytes = block.iter().enumerate();
    // The checksum's own field counts as spaces.
    bytes.map(|(at, &b)| u32::from(if (148..156).contains(&at) { b' ' } else { b })).sum()
}

/// How many bytes fill up the last block of a file.
pub(super) fn padding(bytes: u64) -> usize {
    let rest = usize::try_from(bytes % BLOCK as u64).unwrap_or(0);
    (BLOCK - rest) % BLOCK
}

/// A file in an archive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Head {
    pub(super) name: String,
    pub(super) bytes: u64,
}

fn odd(text: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.into())
}

/// The next header; `None` at the end of the archive, of which nothing may be left then.
pub(super) fn next(from: &mut impl Read) -> io::Result<Option<Head>> {
    let mut block = [0; BLOCK];
    from.read_exact(&mut block).map_err(cut_off)?;
    if block == [0; BLOCK] {
        from.read_exact(&mut block).map_err(cut_off)?;
        let is_end = block == [0; BLOCK] && from.read(&mut block)? == 0;
        return if is_end { Ok(None) } else { Err(odd("something follows its end")) };
    }
    let field = |at: usize, length: usize| block.get(at..at + length).unwrap_or_default();
    if octal(field(148, 8)) != Some(sum(&block).into()) || field(257, 5) != b"ustar" {
        return Err(odd("a header in it is damaged"));
    }
    let (prefix, name) = (text(field(345, PREFIX_BYTES))?, text(field(0, NAME_BYTES))?);
    let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") };
    if field(156, 1) != b"0" {
        return Err(odd("it holds something that is no file (a link or a directory)"));
    }
    let bytes = octal(field(124, 12)).ok_or_else(|| odd("a header in it is damaged"))?;
    Ok(Some(Head { name, bytes }))
}

/// An end that comes too early; what else went wrong says so itself.
pub(super) fn cut_off(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::UnexpectedEof { odd("it is cut off") } else { error }
}

fn octal(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    u64::from_str_radix(text, 8).ok().filter(|_| !text.starts_with('+'))
}

fn text(field: &[u8]) -> io::Result<&str> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let text = field.get(..end).unwrap_or_default();
    std::str::from_utf8(text).map_err(|_| odd("a name in it is no text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_read_as_they_were_written() {
        let long = format!("{}/{}", "d".repeat(120), "n".repeat(100));
        for (name, bytes) in [("a", 0), ("state/discord.messages", 1 << 32), (&long, 1)] {
            let block = header(name, bytes, 1_774_085_213).unwrap();
            let read = next(&mut block.as_slice()).unwrap();
            assert_eq!(read, Some(Head { name: name.to_owned(), bytes }));
        }
        assert!(header(&"n".repeat(101), 0, 0).is_none());
        assert!(header("n", 1 << 33, 0).is_none());
    }

    #[test]
    fn what_is_no_file_is_refused() {
        for kind in [b'1', b'2', b'5', b'x', b'L', 0] {
            let mut block = header("a", 0, 0).unwrap();
            block[156] = kind;
            let sum = format!("{:06o}\0 ", sum(&block));
            block[148..156].copy_from_slice(sum.as_bytes());
            let refusal = next(&mut block.as_slice()).unwrap_err().to_string();
            assert!(refusal.contains("no file"), "{refusal}");
        }
    }
}
