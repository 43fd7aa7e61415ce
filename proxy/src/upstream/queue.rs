//! Where requests wait for a thread: one bounded queue of three classes. Called by `admission` under the
//! app's lock. Decisions only; no clock and no I/O.
//!
//! A higher class goes first, and within a class who came first. So that nobody waits for ever, a class
//! that has been passed over [`PASSES`] times in a row is next. When the queue is full, a request of a
//! higher class takes the place of the last one of the lowest class that waits.

use std::collections::BTreeMap;

use tidegate_site::Priority;

/// How often in a row a class that waits may be passed over: with a flood of high requests the others
/// keep a tenth of the threads each, which is enough to see that they move.
const PASSES: u32 = 8;

const CLASSES: usize = Priority::ALL.len();

/// A request's place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket {
    class: usize,
    number: u64,
}

/// Requests that wait. `W` is how one is told.
#[derive(Debug)]
pub(super) struct Queue<W> {
    /// By priority, highest first; within each by the order in which they came.
    classes: [Class<W>; CLASSES],
    next: u64,
    size: usize,
    length: usize,
}

#[derive(Debug)]
struct Class<W> {
    waiting: BTreeMap<u64, W>,
    /// How often in a row another class was preferred while somebody waited here.
    passed: u32,
}

/// What became of a request that asked for a place.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place<W> {
    /// It waits; the request that had to leave for it does not.
    Taken(Ticket, Option<W>),
    /// There is none.
    Full,
}

impl<W> Queue<W> {
    /// An empty queue for so many.
    pub(super) fn new(size: usize) -> Self {
        let classes = std::array::from_fn(|_| Class { waiting: BTreeMap::new(), passed: 0 });
        Self { classes, next: 0, size, length: 0 }
    }

    /// Changes the bound; those who wait stay.
    pub(super) fn resize(&mut self, size: usize) {
        self.size = size;
    }

    /// Whether nobody waits.
    pub(super) fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Whether a request of this class would get a place.
    pub(super) fn has_room(&self, priority: Priority) -> bool {
        let lower = &self.classes[priority as usize + 1..];
        self.length < self.size || lower.iter().any(|class| !class.waiting.is_empty())
    }

    /// Takes a place, another's if the queue is full of lower classes.
    pub(super) fn push(&mut self, priority: Priority, wait: impl FnOnce() -> W) -> Place<W> {
        let class = priority as usize;
        let mut displaced = None;
        if self.length >= self.size {
            let lower = self.classes[class + 1..].iter_mut().rev();
            let Some((_, last)) = { lower }.find_map(|class| class.waiting.pop_last()) else { return Place::Full };
            self.length -= 1;
            displaced = Some(last);
        }
        let number = self.next;
        self.next += 1;
        self.classes[class].waiting.insert(number, wait());
        self.length += 1;
        Place::Taken(Ticket { class, number }, displaced)
    }

    /// Gives a place back, if it is still held.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if self.classes[ticket.class].waiting.remove(&ticket.number).is_some() {
            self.length -= 1;
        }
    }

    /// Whose turn it is.
    pub(super) fn pop(&mut self) -> Option<W> {
        let waits = |class: &Class<W>| !class.waiting.is_empty();
        let due = self.classes.iter().position(|class| waits(class) && class.passed >= PASSES);
        let chosen = due.or_else(|| self.classes.iter().position(waits))?;
        for (index, class) in self.classes.iter_mut().enumerate() {
            class.passed = if index == chosen || class.waiting.is_empty() { 0 } else { class.passed + 1 };
        }
        let (_, waiter) = self.classes[chosen].waiting.pop_first()?;
        self.length -= 1;
        Some(waiter)
    }

    /// Everybody.
    pub(super) fn take_all(&mut self) -> Vec<W> {
        self.length = 0;
        self.classes.iter_mut().flat_map(|class| std::mem::take(&mut class.waiting).into_values()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue into which the words were pushed: `h1` is a high request called so.
    fn queue(size: usize, names: &[&'static str]) -> Queue<&'static str> {
        let mut queue = Queue::new(size);
        for name in names {
            assert!(matches!(push(&mut queue, name), Place::Taken(_, None)), "{name}");
        }
        queue
    }

    fn push(queue: &mut Queue<&'static str>, name: &'static str) -> Place<&'static str> {
        let priority = match name.as_bytes()[0] {
            b'h' => Priority::High,
            b'n' => Priority::Normal,
            _ => Priority::Low,
        };
        queue.push(priority, || name)
    }

    fn order(queue: &mut Queue<&'static str>) -> String {
        std::iter::from_fn(|| queue.pop()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn higher_classes_go_first_and_within_a_class_who_came_first() {
        for (names, expected) in [
            (&["n1", "n2", "n3"][..], "n1 n2 n3"),
            (&["l1", "n1", "h1", "l2", "n2", "h2"], "h1 h2 n1 n2 l1 l2"),
            (&["l1", "h1"], "h1 l1"),
            (&[], ""),
        ] {
            assert_eq!(order(&mut queue(9, names)), expected);
        }
    }

    /// Which classes get the next turns while every class that is named always has somebody waiting.
    fn turns(names: &[&'static str], count: usize) -> String {
        let mut queue = queue(9, names);
        let mut turns = String::new();
        for _ in 0..count {
            let name = queue.pop().unwrap();
            turns.push_str(&name[..1]);
            push(&mut queue, name);
        }
        turns
    }

    #[test]
    fn no_class_starves() {
        assert_eq!(turns(&["h", "n"], 18), "hhhhhhhhnhhhhhhhhn");
        assert_eq!(turns(&["n", "l"], 10), "nnnnnnnnln");
        assert_eq!(turns(&["h", "n", "l"], 20), "hhhhhhhhnlhhhhhhhnlh");
    }

    #[test]
    fn a_class_that_was_empty_has_not_been_passed_over() {
        let mut queue = queue(99, &["n1"]);
        for _ in 0..PASSES {
            push(&mut queue, "h");
            assert_eq!(queue.pop(), Some("h"));
        }
        assert_eq!(queue.pop(), Some("n1"));
        push(&mut queue, "n2");
        push(&mut queue, "h");
        assert_eq!(order(&mut queue), "h n2");
    }

    #[test]
    fn a_full_queue_makes_room_for_a_higher_class_only() {
        let mut queue = queue(3, &["l1", "n1", "n2"]);
        assert_eq!(Priority::ALL.map(|priority| queue.has_room(priority)), [true, true, false]);
        assert_eq!(push(&mut queue, "l2"), Place::Full);
        assert!(matches!(push(&mut queue, "n3"), Place::Taken(_, Some("l1"))));
        assert_eq!(push(&mut queue, "n4"), Place::Full);
        assert!(matches!(push(&mut queue, "h1"), Place::Taken(_, Some("n3"))));
        assert_eq!(order(&mut queue), "h1 n1 n2");
        assert_eq!(push(&mut Queue::new(0), "h"), Place::Full);
    }

    #[test]
    fn who_left_is_not_served_and_leaves_once() {
        let mut queue = queue(2, &["n1"]);
        let Place::Taken(ticket, None) = push(&mut queue, "h1") else { panic!("no place") };
        queue.leave(ticket);
        queue.leave(ticket);
        assert_eq!(order(&mut queue), "n1");
        assert!(queue.is_empty());
        assert!(matches!(push(&mut queue, "n2"), Place::Taken(_, None)));
        assert_eq!(queue.take_all(), ["n2"]);
        assert!(queue.is_empty());
    }
}
