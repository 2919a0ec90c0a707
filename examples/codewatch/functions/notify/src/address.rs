//! An `http` or `https` URL in the parts that a request is made of.

/// Where to send.
#[derive(Debug, PartialEq, Eq)]
pub struct Address<'a> {
    /// Over TLS.
    pub https: bool,
    /// Host, and port if there is one.
    pub authority: &'a str,
    /// Path and query; `/` where there is none.
    pub path: &'a str,
}

impl<'a> Address<'a> {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(url: &'a str) -> Result<Self, String> {
        let wrong =
            |what: &str| Err(format!("`notify-url`: {what}; give e.g. https://hooks.example.com/codewatch"));
        let (https, rest) = match url.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            _ => return wrong("it starts with neither https:// nor http://"),
        };
        let rest = rest.split('#').next().unwrap_or(rest);
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        if authority.is_empty() {
            return wrong("it has no host");
        }
        if authority.contains('@') {
            return wrong("a user name in it is not supported");
        }
        if path.starts_with('?') {
            return wrong("it has a query without a path");
        }
        if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return wrong("it has a blank or a control character in it");
        }
        Ok(Self { https, authority, path: if path.is_empty() { "/" } else { path } })
    }
}

#[cfg(test)]
mod tests {
    use super::Address;

    #[test]
    fn urls_are_taken_apart() {
        for (url, expected) in [
            ("https://a.test/x/y?z=1#f", (true, "a.test", "/x/y?z=1")),
            ("http://127.0.0.1:9000", (false, "127.0.0.1:9000", "/")),
            ("http://[::1]:80/", (false, "[::1]:80", "/")),
        ] {
            let (https, authority, path) = expected;
            assert_eq!(Address::parse(url), Ok(Address { https, authority, path }), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (url, expected) in [
            ("a.test/x", "neither https"),
            ("ftp://a.test", "neither https"),
            ("http:///x", "no host"),
            ("http://u:p@a.test/", "user name"),
            ("http://a.test?x", "query without a path"),
            ("http://a.test/x y", "blank"),
        ] {
            let message = Address::parse(url).unwrap_err();
            assert!(message.contains(expected), "{message}");
        }
    }
}
