//! The smallest event function: it answers the first bytes of the event. What a run costs besides the function
//! is measured with it.

wit_bindgen::generate!({ world: "event-function", path: "../../../wit" });

use exports::flyball::function::handler::{Event, Failure, Guest};

struct Hello;

impl Guest for Hello {
    fn handle(event: Event) -> Result<Option<Vec<u8>>, Failure> {
        let mut data = event.data;
        data.truncate(5);
        Ok(Some(data))
    }
}

export!(Hello);
