//! What `wit/function.wit` is in Rust, generated.

#![allow(missing_docs, clippy::all, reason = "generated code")]

wasmtime::component::bindgen!({
    path: "../wit",
    world: "event-function",
    imports: {
        // Only what may wait for the backend is async: the others are answered on the spot.
        "flyball:function/keyvalue.get": async,
        "flyball:function/keyvalue.keys": async,
        "flyball:function/blobs": async,
        "flyball:function/configuration.secret": async,
    },
    exports: { default: async },
    require_store_data_send: true,
});
