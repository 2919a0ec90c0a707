//! Conditions: yes, no, or not known.

use super::scope::Scope;
use crate::document::{Span, Tree, Unknown, Value};

/// Conditions that may wait for one another.
const CHAIN_MAX: usize = 64;

/// Whether something holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    fn not(self) -> Truth {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

/// A declared condition.
#[derive(Debug, Clone, Copy)]
pub(super) enum Condition<'t> {
    /// Nobody asked yet.
    Open(&'t Tree),
    /// It is being decided: who asks now, asks in a circle.
    Running,
    Decided(Truth),
}

impl<'t> Scope<'t, '_, '_> {
    /// Decides every condition in the file's order, so that few wait for others.
    pub(super) fn decide_all(&mut self) {
        let mut names: Vec<(Span, &'t str)> = Vec::new();
        for (name, condition) in &self.conditions {
            if let Condition::Open(tree) = condition {
                names.push((tree.span, name));
            }
        }
        names.sort();
        for (span, name) in names {
            self.decide(name, span);
        }
    }

    /// Whether the condition of a name holds; `span` is where it is asked.
    pub(super) fn decide(&mut self, name: &str, span: Span) -> Truth {
        let wrong = match self.conditions.get_key_value(name).map(|(name, condition)| (*name, *condition)) {
            Some((_, Condition::Decided(truth))) => return truth,
            Some((name, Condition::Open(tree))) if self.deciding < CHAIN_MAX => {
                self.deciding += 1;
                self.conditions.insert(name, Condition::Running);
                let truth = self.truth(tree);
                self.conditions.insert(name, Condition::Decided(truth));
                self.deciding -= 1;
                return truth;
            }
            Some((name, Condition::Open(_))) => {
                self.conditions.insert(name, Condition::Decided(Truth::Unknown));
                format!("more than {CHAIN_MAX} conditions wait for one another at {name}")
            }
            Some((_, Condition::Running)) => format!("the condition {name} depends on itself"),
            None if self.open => return Truth::Unknown,
            None => format!("there is no condition {name}"),
        };
        self.reading.problem(
            "FE3107",
            span,
            wrong,
            "correct the name, or the condition: it is taken as not known",
        );
        Truth::Unknown
    }

    /// Whether a condition's expression holds.
    fn truth(&mut self, tree: &Tree) -> Truth {
        let [entry] = tree.entries() else { return self.no_condition(tree) };
        let inside = &entry.value;
        match (entry.key.as_str(), inside.items()) {
            ("Condition", _) => match inside.as_str() {
                Some(name) => self.decide(name, inside.span),
                None => self.no_condition(tree),
            },
            ("Fn::Equals", [a, b]) => {
                let (a, b) = (self.resolve(a), self.resolve(b));
                match (a, b) {
                    (Some(a), Some(b)) => self.equal(&a, &b),
                    _ => Truth::Unknown,
                }
            }
            ("Fn::Not", [one]) => self.truth(one).not(),
            ("Fn::And", all) if !all.is_empty() => self.all(all, Truth::Yes),
            ("Fn::Or", all) if !all.is_empty() => self.all(all, Truth::No),
            _ => self.no_condition(tree),
        }
    }

    /// `start` if all are so, its contrary if one is.
    fn all(&mut self, all: &[Tree], start: Truth) -> Truth {
        let mut truth = start;
        for one in all {
            match self.truth(one) {
                one if one == start.not() => return one,
                Truth::Unknown => truth = Truth::Unknown,
                _ => {}
            }
        }
        truth
    }

    fn no_condition(&mut self, tree: &Tree) -> Truth {
        let message = "this is no condition".to_string();
        let help = "write Fn::Equals, Fn::And, Fn::Or, Fn::Not or Condition with what it takes";
        self.reading.problem("FE3107", tree.span, message, help);
        Truth::Unknown
    }

    /// Whether two values are the same text.
    fn equal(&self, a: &Tree, b: &Tree) -> Truth {
        let (Some(a), Some(b)) = (self.possible(a), self.possible(b)) else { return Truth::Unknown };
        let meets = a.iter().any(|text| b.contains(text));
        match (meets, a.as_slice(), b.as_slice()) {
            (false, _, _) => Truth::No,
            (true, [_], [_]) => Truth::Yes,
            (true, _, _) => Truth::Unknown,
        }
    }

    /// The texts that a value can be. `None`: any.
    fn possible(&self, tree: &Tree) -> Option<Vec<String>> {
        match &tree.value {
            Value::Unknown(Unknown { one_of, .. }) if !one_of.is_empty() && one_of.len() <= 64 => {
                one_of.iter().map(|one| self.words(one)).collect()
            }
            _ => self.words(tree).map(|text| vec![text]),
        }
    }
}
