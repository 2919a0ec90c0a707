//! The smallest `wasi:http` function: always `200` with `hello`. It imports nothing of ours, so it runs on any
//! host of `wasi:http`.

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

wasip2::http::proxy::export!(Hello);

struct Hello;

impl wasip2::exports::http::incoming_handler::Guest for Hello {
    fn handle(_request: IncomingRequest, response_out: ResponseOutparam) {
        let response = OutgoingResponse::new(Fields::new());
        let body = response.body().unwrap();
        ResponseOutparam::set(response_out, Ok(response));
        let out = body.write().unwrap();
        out.blocking_write_and_flush(b"hello\n").unwrap();
        drop(out);
        OutgoingBody::finish(body, None).unwrap();
    }
}
