//! Which route a path and method lead to. The most specific pattern wins: segment by segment, a literal
//! before a parameter before the rest.

use std::cmp::Ordering;

use flyball_core::model::Route;
use http::Method;

/// Parameters of a path, by name.
pub(super) type Parameters = Vec<(String, String)>;

/// The routes, most specific first.
#[derive(Debug)]
pub(super) struct Router(Vec<(Vec<Segment>, Route)>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter(String),
    Rest(String),
}

/// What a look-up found.
#[derive(Debug)]
pub(super) enum Found<'a> {
    /// A route, with the path's parameters.
    Route(&'a Route, Parameters),
    /// The path exists, for these methods.
    OtherMethods(Vec<String>),
    /// There is no such path.
    Nothing,
}

impl Router {
    pub(super) fn new(routes: &[Route]) -> Router {
        let mut all: Vec<_> = routes.iter().map(|route| (segments(&route.path), route.clone())).collect();
        all.sort_by(|(a, _), (b, _)| specificity(a, b));
        Router(all)
    }

    pub(super) fn find(&self, method: &Method, path: &str) -> Found<'_> {
        let parts: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let mut others: Vec<String> = Vec::new();
        for (pattern, route) in &self.0 {
            let Some(parameters) = matches(pattern, &parts) else { continue };
            if allows(route, method) {
                return Found::Route(route, parameters);
            }
            others.extend(route.methods.iter().cloned());
        }
        if others.is_empty() {
            return Found::Nothing;
        }
        others.sort();
        others.dedup();
        Found::OtherMethods(others)
    }
}

fn allows(route: &Route, method: &Method) -> bool {
    // HEAD is GET without the body.
    let asked = if *method == Method::HEAD { "GET" } else { method.as_str() };
    route.methods.is_empty() || route.methods.iter().any(|m| m == asked || m == method.as_str())
}

fn segments(path: &str) -> Vec<Segment> {
    let rest = path.strip_prefix('/').unwrap_or(path);
    let segment = |text: &str| match text.strip_prefix('{').and_then(|t| t.strip_suffix('}')) {
        None => Segment::Literal(text.to_string()),
        Some(inner) => match inner.strip_suffix("...") {
            Some(name) => Segment::Rest(name.to_string()),
            None => Segment::Parameter(inner.to_string()),
        },
    };
    rest.split('/').map(segment).collect()
}

fn specificity(a: &[Segment], b: &[Segment]) -> Ordering {
    let kind = |segment: &Segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Parameter(_) => 1,
        Segment::Rest(_) => 2,
    };
    a.iter().map(kind).cmp(b.iter().map(kind)).then_with(|| a.cmp(b))
}

fn matches(pattern: &[Segment], parts: &[&str]) -> Option<Parameters> {
    let mut parameters = Vec::new();
    let mut parts = parts.iter();
    for segment in pattern {
        match segment {
            Segment::Literal(text) => {
                let part = *parts.next()?;
                // Most differ in their first bytes, or have nothing to decode.
                if part != text && (!part.contains('%') || decode(part)? != *text) {
                    return None;
                }
            }
            Segment::Parameter(name) => {
                let value = decode(parts.next()?)?;
                if value.is_empty() {
                    return None;
                }
                parameters.push((name.clone(), value));
            }
            Segment::Rest(name) => {
                let rest: Vec<&str> = parts.copied().collect();
                parameters.push((name.clone(), rest.join("/")));
                return Some(parameters);
            }
        }
    }
    parts.next().is_none().then_some(parameters)
}

/// A segment without its percent-encoding; `None` where that is broken or not UTF-8.
fn decode(segment: &str) -> Option<String> {
    if !segment.contains('%') {
        return Some(segment.to_string());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use flyball_core::{
        Name,
        model::{RouteMode, TenantFrom},
    };

    use super::*;

    fn route(path: &str, methods: &[&str]) -> Route {
        Route {
            path: path.into(),
            methods: methods.iter().map(ToString::to_string).collect(),
            function: Name::new("f").unwrap(),
            mode: RouteMode::Sync,
            tenant: TenantFrom::Key,
        }
    }

    #[test]
    fn the_most_specific_pattern_wins_whatever_the_order() {
        let mut routes = vec![
            route("/{rest...}", &[]),
            route("/a/{x}", &["GET"]),
            route("/a/b", &["POST"]),
            route("/{x}/b/c", &[]),
            route("/", &["GET"]),
        ];
        for _ in 0..2 {
            routes.reverse();
            let router = Router::new(&routes);
            let find = |method: Method, path: &str| match router.find(&method, path) {
                Found::Route(route, parameters) => {
                    let parameters: Vec<_> = parameters.iter().map(|(n, v)| format!("{n}={v}")).collect();
                    format!("{} {}", route.path, parameters.join(",")).trim().to_string()
                }
                Found::OtherMethods(methods) => format!("405 {}", methods.join(",")),
                Found::Nothing => "404".into(),
            };
            let table = [
                (Method::POST, "/a/b", "/a/b"),
                (Method::GET, "/a/b", "/a/{x} x=b"),
                (Method::HEAD, "/a/z", "/a/{x} x=z"),
                (Method::GET, "/a/%7Ex", "/a/{x} x=~x"),
                (Method::PUT, "/a/b", "/{rest...} rest=a/b"),
                (Method::GET, "/q/b/c", "/{x}/b/c x=q"),
                (Method::GET, "/", "/"),
                (Method::GET, "/a/", "/{rest...} rest=a/"),
                (Method::GET, "/a/%zz", "/{rest...} rest=a/%zz"),
            ];
            for (method, path, expected) in table {
                assert_eq!(find(method, path), expected, "{path}");
            }
        }
    }

    #[test]
    fn a_path_without_the_method_says_which_there_are() {
        let router = Router::new(&[route("/a", &["GET", "POST"]), route("/{x}", &["PUT"])]);
        let Found::OtherMethods(methods) = router.find(&Method::DELETE, "/a") else { panic!("405") };
        assert_eq!(methods, ["GET", "POST", "PUT"]);
        assert!(matches!(router.find(&Method::GET, "/a/b"), Found::Nothing));
    }
}
