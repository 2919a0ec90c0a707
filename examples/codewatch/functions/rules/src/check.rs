//! What a pattern can't say about a secret.

/// Words that a secret in earnest does not contain; compared in lower case.
const PLACEHOLDERS: &[&str] = &[
    "example",
    "sample",
    "placeholder",
    "changeme",
    "change_me",
    "change-me",
    "your",
    "xxxx",
    "dummy",
    "redacted",
    "insert",
    "replace",
    "password",
    "foobar",
    "12345678",
    "abcdefgh",
    "deadbeef",
    "****",
    "....",
    "<",
    "{",
    "$(",
    "%(",
];

/// Not a placeholder or a template's variable.
pub fn real(secret: &str) -> bool {
    let lower = secret.to_ascii_lowercase();
    !lower.starts_with('$') && !PLACEHOLDERS.iter().any(|word| lower.contains(word))
}

/// Not a placeholder, and not one character over and over.
pub fn random(secret: &str) -> bool {
    real(secret) && bits_per_character(secret) >= 3.0
}

/// Shannon's entropy of the characters.
pub fn bits_per_character(text: &str) -> f64 {
    let mut counts = [0_u32; 256];
    for byte in text.bytes() {
        counts[usize::from(byte)] += 1;
    }
    let length = text.len() as f64;
    let bits = |count: &u32| {
        let share = f64::from(*count) / length;
        -share * share.log2()
    };
    counts.iter().filter(|count| **count > 0).map(bits).sum()
}

/// Both cases and a digit: base64 of random bytes has them, a hash in hexadecimal digits does not.
pub fn mixed_case(text: &str) -> bool {
    text.bytes().any(|byte| byte.is_ascii_lowercase())
        && text.bytes().any(|byte| byte.is_ascii_uppercase())
        && text.bytes().any(|byte| byte.is_ascii_digit())
}

/// A value that is given to something with a secret's name: random, with letters and digits, and no path, address,
/// call or plain words.
pub fn assigned_secret(value: &str) -> bool {
    let digits = value.bytes().filter(u8::is_ascii_digit).count();
    let letters = value.bytes().filter(u8::is_ascii_alphabetic).count();
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=_-.~!@#^&*".contains(&byte);
    real(value)
        && digits >= 2
        && letters >= 4
        && value.bytes().all(plain)
        && !value.contains("://")
        && !value.starts_with(['/', '.'])
        && bits_per_character(value) >= 3.0
}

/// GitHub's and npm's tokens: after the prefix 30 characters and the CRC-32 of them, six digits to base 62.
pub fn crc32_base62(token: &str) -> bool {
    let Some((_, rest)) = token.split_once('_') else { return false };
    let Some((random, sum)) = rest.split_at_checked(30) else { return false };
    base62(crc32(random.as_bytes())) == sum.as_bytes()
}

/// Six digits to base 62, zeros in front.
pub fn base62(mut number: u32) -> [u8; 6] {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut digits = [b'0'; 6];
    for digit in digits.iter_mut().rev() {
        *digit = DIGITS[(number % 62) as usize];
        number /= 62;
    }
    digits
}

/// The CRC-32 of zip and Ethernet, bit by bit: it sees thirty bytes at a time.
pub fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A header that names an algorithm, and a real one: `none` signs nothing.
pub fn json_web_token(token: &str) -> bool {
    let Some((header, _)) = token.split_once('.') else { return false };
    let Some(header) = decode_base64(header) else { return false };
    let header = String::from_utf8_lossy(&header);
    header.contains("\"alg\"") && !header.contains("\"none\"")
}

/// Decodes base64 in either alphabet; padding and line ends are skipped. None where anything else is in it.
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for character in text.bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' | b'-' => 62,
            b'/' | b'_' => 63,
            b'=' | b'\n' | b'\r' => continue,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held) as u8);
            bits &= (1 << held) - 1;
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_known_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(&base62(0), b"000000");
        assert_eq!(&base62(61 + 62), b"00001z");
        // The token of GitHub's own announcement of the format.
        let random = ["zQWBuTSOoRi4A9s", "pHcVY5ncnsDkxkJ"].concat();
        assert!(crc32_base62(&["ghp", &format!("{random}0mLq17")].join("_")));
        assert!(!crc32_base62(&["ghp", &format!("{random}0mLq18")].join("_")));
    }

    #[test]
    fn base64_is_decoded_in_both_alphabets() {
        assert_eq!(decode_base64("aGVsbG8=").as_deref(), Some(&b"hello"[..]));
        assert_eq!(decode_base64("_-8"), decode_base64("/+8="));
        assert_eq!(decode_base64("a b"), None);
    }
}
