//! `X-Hub-Signature-256`: the HMAC-SHA256 of the body under the secret that the tenant shares with the code host.

use hmac::{Hmac, Mac};
use sha2::Sha256;

/// Whether `header` (`sha256=` and 64 hexadecimal digits) is the signature of `body` under `secret`. Compares in
/// constant time.
pub fn holds(header: &str, secret: &[u8], body: &[u8]) -> bool {
    let Some(given) = header.strip_prefix("sha256=").and_then(bytes_of_hex) else { return false };
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret) else { return false };
    mac.update(body);
    mac.verify_slice(&given).is_ok()
}

fn bytes_of_hex(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let &[high, low] = pair else { return None };
        *byte = (char::from(high).to_digit(16)? * 16 + char::from(low).to_digit(16)?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::holds;

    // The example of GitHub's documentation on validating deliveries.
    const SECRET: &[u8] = b"It's a Secret to Everybody";
    const BODY: &[u8] = b"Hello, World!";
    const SIGNATURE: &str = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";

    #[test]
    fn the_documented_example_holds() {
        assert!(holds(SIGNATURE, SECRET, BODY));
        assert!(holds(&SIGNATURE.to_uppercase().replace("SHA256", "sha256"), SECRET, BODY));
    }

    #[test]
    fn anything_else_does_not_hold() {
        let flipped = SIGNATURE.replace("e17", "e18");
        for (header, secret, body) in [
            (SIGNATURE, SECRET, &b"Hello, World?"[..]),
            (SIGNATURE, b"another", BODY),
            (&flipped, SECRET, BODY),
            (&SIGNATURE[..70], SECRET, BODY),
            (&SIGNATURE.replace("sha256", "sha1"), SECRET, BODY),
            (&SIGNATURE.replace("75", "+5"), SECRET, BODY),
            ("", SECRET, BODY),
        ] {
            assert!(!holds(header, secret, body), "{header}");
        }
    }
}
