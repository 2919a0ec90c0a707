//! The ready work of a flow, in order. Most flows have one item, and then need no memory of their own.

use std::collections::VecDeque;

/// A queue whose first item lies in itself.
#[derive(Debug, Hash)]
pub(crate) struct Line<T> {
    head: Option<T>,
    /// What comes after the head; there only while there was something.
    #[expect(
        clippy::box_collection,
        reason = "most have none, and there are many: a pointer, not four words"
    )]
    rest: Option<Box<VecDeque<T>>>,
}

impl<T: Copy> Line<T> {
    pub(crate) const fn new() -> Self {
        Line { head: None, rest: None }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.head.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        usize::from(self.head.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    pub(crate) fn front(&self) -> Option<&T> {
        self.head.as_ref()
    }

    pub(crate) fn push_back(&mut self, item: T) {
        if self.head.is_none() {
            self.head = Some(item);
        } else {
            self.rest.get_or_insert_default().push_back(item);
        }
    }

    pub(crate) fn push_front(&mut self, item: T) {
        if let Some(second) = self.head.replace(item) {
            self.rest.get_or_insert_default().push_front(second);
        }
    }

    pub(crate) fn pop_front(&mut self) -> Option<T> {
        let next = self.rest.as_mut().and_then(|rest| rest.pop_front());
        if next.is_none() {
            self.rest = None;
        }
        std::mem::replace(&mut self.head, next)
    }

    /// Takes out what does not fit.
    pub(crate) fn retain(&mut self, mut fits: impl FnMut(&T) -> bool) {
        if let Some(rest) = &mut self.rest {
            rest.retain(&mut fits);
        }
        if self.head.as_ref().is_some_and(|head| !fits(head)) {
            self.pop_front();
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.head.iter().chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_is_a_queue(acts in prop::collection::vec((0..5_u8, 0..9_u32), 1..100)) {
            let (mut line, mut model) = (Line::new(), VecDeque::new());
            for (act, item) in acts {
                match act {
                    0 => {
                        line.push_front(item);
                        model.push_front(item);
                    }
                    1 => {
                        line.retain(|i| *i != item);
                        model.retain(|i| *i != item);
                    }
                    2 => prop_assert_eq!(line.pop_front(), model.pop_front()),
                    _ => {
                        line.push_back(item);
                        model.push_back(item);
                    }
                }
                prop_assert_eq!(line.iter().collect::<Vec<_>>(), model.iter().collect::<Vec<_>>());
                prop_assert_eq!((line.len(), line.is_empty()), (model.len(), model.is_empty()));
                prop_assert_eq!(line.front(), model.front());
            }
        }
    }
}
