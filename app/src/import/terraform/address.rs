//! Addresses as plans write them: `module.shop["eu"].aws_sqs_queue.orders[0].arn`.

/// A part between dots, with the index behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Part<'a> {
    /// Its name.
    pub name: &'a str,
    /// What stands in brackets behind it, quotes and all.
    pub index: Option<&'a str>,
}

/// Parts of an address that are looked at; a longer one is none.
const PARTS_MAX: usize = 64;

/// The parts of an address. Empty: it is none.
pub(super) fn parts(address: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let mut rest = address;
    while !rest.is_empty() && parts.len() < PARTS_MAX {
        let end = rest.find(['.', '[']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (index, behind) = match behind.strip_prefix('[') {
            Some(inside) => match closed(inside) {
                Some(at) => (inside.get(..at), inside.get(at + 1..).unwrap_or("")),
                None => return Vec::new(),
            },
            None => (None, behind),
        };
        parts.push(Part { name, index });
        // Indexes of values inside of an attribute say nothing of whose attribute it is.
        rest = behind.find('.').and_then(|dot| behind.get(dot + 1..)).unwrap_or("");
    }
    parts
}

/// Where a bracket closes: none that stands in quotes.
fn closed(inside: &str) -> Option<usize> {
    let (mut quoted, mut escaped) = (false, false);
    for (at, char) in inside.char_indices() {
        match char {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            ']' if !quoted => return Some(at),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn parts_keep_their_indexes() {
        let of = |text| -> Vec<(String, Option<String>)> {
            parts(text).iter().map(|part| (part.name.to_string(), part.index.map(str::to_string))).collect()
        };
        let part = |name: &str, index: Option<&str>| (name.to_string(), index.map(str::to_string));
        assert_eq!(
            of("module.shop[\"a.b]\"].aws_sqs_queue.q[0].arn"),
            [
                part("module", None),
                part("shop", Some("\"a.b]\"")),
                part("aws_sqs_queue", None),
                part("q", Some("0")),
                part("arn", None),
            ]
        );
        assert_eq!(of("var.names[0][1]"), [part("var", None), part("names", Some("0"))]);
        assert!(of("aws_sqs_queue.q[\"").is_empty());
    }
}
