//! A certificate of the sandbox's own, made on the spot: its server can be asked over TLS without
//! anybody having to provide for it, and no private key stands in the program.
//!
//! It is an X.509 certificate (RFC 5280) in DER (X.690) with an ECDSA key on P-256, signed by
//! itself, for this host's loopback address. It is valid at any time, whatever the clock shows.

use std::fmt::Write as _;
use std::io;

use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};

use crate::base::base64;

const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const OCTETS: u8 = 0x04;
const OID: u8 = 0x06;
const UTF8: u8 = 0x0c;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
/// The version and the extensions of a certificate, which have tags of their own …
const VERSION: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// … and an address among the names of its owner.
const ADDRESS: u8 = 0x87;

/// ecdsa-with-SHA256
const SIGNED_BY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02];
/// id-ecPublicKey
const KEY_KIND: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
/// secp256r1
const CURVE: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// id-at-commonName
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];
/// id-ce-subjectAltName
const OTHER_NAMES: &[u8] = &[0x55, 0x1d, 0x11];

/// A certificate and its key, both in PEM.
pub struct Made {
    /// Whoever trusts this trusts the server.
    pub certificate: String,
    /// What the server signs with.
    pub key: String,
}

/// Makes one.
///
/// # Errors
/// The operating system has no randomness to give.
pub fn make() -> io::Result<Made> {
    let random = SystemRandom::new();
    let refused = |_| io::Error::other("no key can be made");
    let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).map_err(refused)?;
    let key = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random)
        .map_err(|error| io::Error::other(error.to_string()))?;
    let mut serial = crate::rt::os_bytes::<8>()?;
    // Positive, and without a leading zero.
    serial[0] = serial[0] & 0x7f | 0x40;
    let content = content(&serial, key.public_key().as_ref());
    let signature = key.sign(&random, &content).map_err(refused)?;
    let certificate = der(SEQUENCE, &[&content, &algorithm(), &bits(signature.as_ref())]);
    Ok(Made {
        certificate: pem("CERTIFICATE", &certificate),
        key: pem("PRIVATE KEY", pkcs8.as_ref()),
    })
}

/// What is signed.
fn content(serial: &[u8], public_key: &[u8]) -> Vec<u8> {
    let common_name = der(SEQUENCE, &[&der(OID, &[COMMON_NAME]), &der(UTF8, &[b"barnacle"])]);
    let name = der(SEQUENCE, &[&der(SET, &[&common_name])]);
    let validity = der(
        SEQUENCE,
        &[&der(UTC_TIME, &[b"700101000000Z"]), &der(GENERALIZED_TIME, &[b"99991231235959Z"])],
    );
    let key_kind = der(SEQUENCE, &[&der(OID, &[KEY_KIND]), &der(OID, &[CURVE])]);
    let key = der(SEQUENCE, &[&key_kind, &bits(public_key)]);
    let address = der(SEQUENCE, &[&der(ADDRESS, &[&[127, 0, 0, 1]])]);
    let names = der(SEQUENCE, &[&der(OID, &[OTHER_NAMES]), &der(OCTETS, &[&address])]);
    let extensions = der(EXTENSIONS, &[&der(SEQUENCE, &[&names])]);
    let version = der(VERSION, &[&der(INTEGER, &[&[2]])]);
    let serial = der(INTEGER, &[serial]);
    let issuer = &name;
    der(SEQUENCE, &[&version, &serial, &algorithm(), issuer, &validity, &name, &key, &extensions])
}

fn algorithm() -> Vec<u8> {
    der(SEQUENCE, &[&der(OID, &[SIGNED_BY])])
}

/// A whole number of bytes as a string of bits.
fn bits(bytes: &[u8]) -> Vec<u8> {
    der(BITS, &[&[0], bytes])
}

/// One value: its tag, its length, and the parts that it is made of.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut out = vec![tag];
    let length = content.len().to_be_bytes();
    let significant =
        length.iter().position(|&byte| byte != 0).map_or(&[0][..], |at| &length[at..]);
    match significant {
        [short @ ..0x80] => out.push(*short),
        long => {
            // Of a length there are at most eight bytes.
            out.push(0x80 | u8::try_from(long.len()).unwrap_or(0));
            out.extend(long);
        }
    }
    out.extend(content);
    out
}

fn pem(kind: &str, der: &[u8]) -> String {
    let mut out = format!("-----BEGIN {kind}-----\n");
    // Lines of 64 characters stand for 48 bytes each.
    for line in der.chunks(48) {
        out.push_str(&base64::encode(line));
        out.push('\n');
    }
    let _ = writeln!(out, "-----END {kind}-----");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_as_short_as_can_be() {
        assert_eq!(der(OCTETS, &[]), [OCTETS, 0]);
        assert_eq!(der(OCTETS, &[&[7; 127]])[..3], [OCTETS, 127, 7]);
        assert_eq!(der(OCTETS, &[&[7; 128]])[..4], [OCTETS, 0x81, 128, 7]);
        assert_eq!(der(OCTETS, &[&[7; 300]])[..5], [OCTETS, 0x82, 1, 44, 7]);
    }

    #[test]
    fn each_is_another_and_the_key_is_not_in_the_certificate() {
        let (one, two) = (make().unwrap(), make().unwrap());
        assert_ne!(one.certificate, two.certificate);
        assert!(one.key.starts_with("-----BEGIN PRIVATE KEY-----\n"));
        assert!(!one.certificate.contains("PRIVATE"));
        assert!(one.certificate.lines().all(|line| line.len() <= 64));
    }
}
