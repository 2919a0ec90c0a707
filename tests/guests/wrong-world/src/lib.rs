//! A sound component of a world that is none of ours: deploying it must fail with a message that says so.

wit_bindgen::generate!({ world: "stranger", path: "wit" });

struct Stranger;

impl Guest for Stranger {
    fn add(left: u32, right: u32) -> u32 {
        left.wrapping_add(right)
    }
}

export!(Stranger);
