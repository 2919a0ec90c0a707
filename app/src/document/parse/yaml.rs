//! YAML, from the events of its reader.

use std::{borrow::Cow, ops::Range};

use saphyr_parser::{Event, Parser, ScalarStyle, Span as Marks, Tag};

use super::{
    ParseError, Parsed, brackets,
    builder::{Builder, Put, Wrap, quoted},
    json::lowered,
    offsets::Offsets,
    scalar,
};
use crate::document::Value;

/// The short forms of CloudFormation's intrinsic functions and rule functions whose long form begins with `Fn::`.
const FUNCTIONS: [&str; 26] = [
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "ForEach",
    "GetAZs",
    "GetAtt",
    "GetStackOutput",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
];

/// Characters that are read again, in all, where brackets had to be put on one line.
const AGAIN_MAX: usize = 32 << 20;

pub(super) fn read(text: &str, new: impl Fn() -> Builder) -> Result<Parsed, ParseError> {
    let mut read = Cow::Borrowed(text);
    let mut again = 0;
    loop {
        let mut builder = new();
        let Err(stop) = read_into(text, &read, &mut builder) else { return Ok(builder.finish()) };
        again += text.len();
        // Other readers take a tab behind a colon. A space in its place moves nothing.
        let changed = match read.contains(":\t") {
            true => Some(read.replace(":\t", ": ")),
            false if again > AGAIN_MAX => None,
            false => match stop.outdented {
                Some(Outdented::Brackets(from)) => brackets::on_one_line(&read, from),
                Some(Outdented::Quotes(at)) => brackets::quotes_on_one_line(&read, at),
                None => None,
            },
        };
        match changed {
            Some(changed) => read = Cow::Owned(changed),
            None => return Err(stop.error),
        }
    }
}

/// Why it went no further.
struct Stop {
    error: ParseError,
    /// A line is not indented as its value must be.
    outdented: Option<Outdented>,
}

/// What goes on at a lower indentation than it may, and the byte of the text that was read at which it begins.
enum Outdented {
    /// Brackets: the outermost that are open, or the end of what was read.
    Brackets(usize),
    /// A text in quotes.
    Quotes(usize),
}

/// Reads `read`, which is `text` with other characters in some places, and as many.
fn read_into(text: &str, read: &str, builder: &mut Builder) -> Result<(), Stop> {
    let mut reader = Reader {
        text,
        offsets: Offsets::new(text),
        builder,
        complex: 0,
        complex_start: 0,
        flows: Vec::new(),
    };
    // Where the brackets that are open began, and the last event, in characters.
    let (mut open, mut behind) = (None, 0);
    for event in Parser::new_from_str(read) {
        let (outdented, error) = match event {
            Ok((event, marks)) => {
                let start = marks.start.index();
                match reader.event(event, marks) {
                    Ok(()) => {
                        let in_brackets = reader.flows.contains(&true);
                        open = open.or(Some(start)).filter(|_| in_brackets);
                        behind = marks.end.index();
                        continue;
                    }
                    Err(error) => (None, error),
                }
            }
            Err(error) => {
                let at = reader.offsets.byte(error.marker().index());
                let start = |index: usize| read.char_indices().nth(index).map_or(read.len(), |(at, _)| at);
                let outdented = match error.info() {
                    info if !info.contains("invalid indentation") => None,
                    info if info.contains("quoted scalar") => {
                        Some(Outdented::Quotes(start(error.marker().index())))
                    }
                    _ => Some(Outdented::Brackets(start(open.unwrap_or(behind)))),
                };
                let error = match error.info().contains("recursion limit") {
                    true => reader.builder.too_deep(at..at),
                    false => reader.builder.error(at..at, lowered(error.info()), help(text, at)),
                };
                (outdented, error)
            }
        };
        return Err(Stop { error, outdented });
    }
    Ok(())
}

/// What to do about a text that is no YAML.
fn help(text: &str, at: usize) -> &'static str {
    let line = text.get(..at).and_then(|before| before.rsplit('\n').next()).unwrap_or("");
    if line.contains('\t') {
        "indent with spaces: YAML takes no tabs there"
    } else if at >= text.trim_end().len() {
        "the file ends inside of a value: it was cut off, or a quote or bracket was not closed"
    } else {
        "look at this line and the one before it: an indentation, a quote or a bracket"
    }
}

struct Reader<'b, 't> {
    text: &'t str,
    offsets: Offsets<'t>,
    builder: &'b mut Builder,
    /// Inside of a key that is a list or map: how deep. Such a key stands for its text.
    complex: usize,
    complex_start: usize,
    /// Of each list and map that is open: whether it is in brackets.
    flows: Vec<bool>,
}

impl Reader<'_, '_> {
    fn place(&self, marks: Marks) -> Range<usize> {
        let start = self.offsets.byte(marks.start.index());
        let end = self.offsets.byte(marks.end.index()).max(start);
        // The marks of some values include the space behind them.
        start..start + self.slice(&(start..end)).trim_end().len()
    }

    fn event(&mut self, event: Event<'_>, marks: Marks) -> Result<(), ParseError> {
        if self.complex > 0 {
            self.in_complex_key(&event, marks);
            return Ok(());
        }
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let place = self.behind_tag(self.place(marks), anchor != 0 || tag.is_some());
                self.scalar(&text, style, anchor, tag.as_deref(), place)
            }
            Event::Alias(_) if self.builder.wants_key() => {
                let place = self.place(marks);
                self.builder.key(self.slice(&place).to_string(), place);
                Ok(())
            }
            Event::Alias(anchor) => self.builder.alias(anchor, self.place(marks)),
            Event::SequenceStart(..) | Event::MappingStart(..) if self.builder.wants_key() => {
                (self.complex, self.complex_start) = (1, self.place(marks).start);
                Ok(())
            }
            Event::SequenceStart(anchor, tag) => {
                let place = self.behind_tag(self.place(marks), anchor != 0 || tag.is_some());
                self.flows.push(self.slice(&place).starts_with('['));
                self.builder.open_list(place.start, anchor, collection(tag.as_deref()))
            }
            Event::MappingStart(anchor, tag) => {
                let place = self.behind_tag(self.place(marks), anchor != 0 || tag.is_some());
                self.flows.push(self.slice(&place).starts_with('{'));
                self.builder.open_map(place.start, anchor, collection(tag.as_deref()))
            }
            Event::SequenceEnd | Event::MappingEnd => {
                let flow = self.flows.pop() == Some(true);
                self.builder.close(flow.then(|| self.place(marks).end))
            }
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    /// A key that is no text, such as a `{{ placeholder }}` of a template engine, counts as the text it is.
    fn in_complex_key(&mut self, event: &Event<'_>, marks: Marks) {
        match event {
            Event::SequenceStart(..) | Event::MappingStart(..) => self.complex += 1,
            Event::SequenceEnd | Event::MappingEnd => self.complex -= 1,
            _ => {}
        }
        if self.complex == 0 {
            let place = self.complex_start..self.place(marks).end.max(self.complex_start);
            let key = self.slice(&place).trim_end().to_string();
            let message = format!("{} is a key that is no text", quoted(&key));
            let help = "put it in quotes; fill in what another tool would fill in";
            self.builder.doubt(place.clone(), message, help);
            self.builder.key(key, place);
        }
    }

    fn slice(&self, place: &Range<usize>) -> &str {
        self.text.get(place.clone()).unwrap_or("")
    }

    /// The place of a value without its tag and anchor, which the reader's marks include.
    fn behind_tag(&self, place: Range<usize>, has: bool) -> Range<usize> {
        if !has {
            return place;
        }
        let mut rest = self.slice(&place);
        while rest.starts_with(['!', '&']) {
            rest = rest.trim_start_matches(|c: char| !c.is_whitespace()).trim_start();
        }
        // Nothing but a tag: the value is empty and stands behind it.
        place.end - rest.len()..place.end
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        place: Range<usize>,
    ) -> Result<(), ParseError> {
        let plain = style == ScalarStyle::Plain;
        if self.builder.wants_key() {
            if plain && text == "<<" {
                self.builder.merge_key();
            } else {
                self.builder.key(text.to_string(), place);
            }
            return Ok(());
        }
        let tag = tag.map(|tag| (tag, function(tag)));
        let (value, wrap) = match tag {
            None if plain => (scalar::plain(text), Wrap::None),
            None => (Value::Text(text.to_string()), Wrap::None),
            Some((_, Some(name))) if name == "Fn::GetAtt" => {
                return self.get_att(text, anchor, &name, place);
            }
            // A name is a name, whatever else it looks like.
            Some((_, Some(name))) if name == "Ref" || name == "Condition" || !plain => {
                (Value::Text(text.to_string()), Wrap::In(name))
            }
            Some((_, Some(name))) => (scalar::plain(text), Wrap::In(name)),
            Some((tag, None)) => typed(tag, text, plain),
        };
        self.builder.put(Put { value, place, anchor, wrap })
    }

    /// `!GetAtt a.b` is `{Fn::GetAtt: [a, b]}`.
    fn get_att(
        &mut self,
        text: &str,
        anchor: usize,
        name: &str,
        place: Range<usize>,
    ) -> Result<(), ParseError> {
        self.builder.open_list(place.start, anchor, Wrap::In(name.to_string()))?;
        let (resource, attribute) = text.split_once('.').unwrap_or((text, ""));
        for part in [resource, attribute] {
            self.builder.put(Put::plain(Value::Text(part.to_string()), place.clone()))?;
        }
        self.builder.close(Some(place.end))
    }
}

/// The long form of a tag of CloudFormation's.
fn function(tag: &Tag) -> Option<String> {
    match tag.suffix.as_str() {
        _ if tag.handle != "!" && !tag.handle.is_empty() => None,
        name @ ("Ref" | "Condition") => Some(name.to_string()),
        name if FUNCTIONS.contains(&name) => Some(format!("Fn::{name}")),
        name => name
            .strip_prefix("Fn::")
            .filter(|name| FUNCTIONS.contains(name))
            .map(|name| format!("Fn::{name}")),
    }
}

/// `!` alone says that a value is no more than it looks.
fn is_plain_mark(tag: &Tag) -> bool {
    ["", "!"].contains(&tag.suffix.as_str())
}

fn unknown(tag: &Tag) -> Wrap {
    let tag = tag.to_string();
    Wrap::Unknown(format!("{} is a tag that CloudFormation does not have", quoted(&tag)))
}

/// What a tag makes of a list or map.
fn collection(tag: Option<&Tag>) -> Wrap {
    match tag {
        None => Wrap::None,
        Some(tag) if tag.is_yaml_core_schema() || is_plain_mark(tag) => Wrap::None,
        Some(tag) => function(tag).map_or_else(|| unknown(tag), Wrap::In),
    }
}

/// A scalar with one of YAML's own tags, or with one that nobody knows.
fn typed(tag: &Tag, text: &str, plain: bool) -> (Value, Wrap) {
    let text_value = || Value::Text(text.to_string());
    if !tag.is_yaml_core_schema() {
        let wrap = if is_plain_mark(tag) { Wrap::None } else { unknown(tag) };
        return (text_value(), wrap);
    }
    match (tag.suffix.as_str(), scalar::plain(text)) {
        ("null", _) => (Value::Null, Wrap::None),
        ("int", value @ Value::Integer(_)) | ("bool", value @ Value::Bool(_)) => (value, Wrap::None),
        ("float", value @ (Value::Integer(_) | Value::Float(_))) => (value, Wrap::None),
        ("timestamp", value) if plain => (value, Wrap::None),
        _ => (text_value(), Wrap::None),
    }
}
