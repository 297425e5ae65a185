//! The endpoints of a cloud converter: its calls go to the session that the job was given, and nowhere
//! else.
//!
//! Invariant: a job without a session reaches nothing, and the time spent in a call is not the guest's.

use std::time::Duration;

use super::bindings::endpoint;
use super::state::JobState;
use super::stdio;
use crate::egress::{Body, CallError, FormValue, Location, Method, Request, Response};

/// What a job that may call nothing is told.
const NO_SESSION: &str = "this call has no endpoints";

impl endpoint::Host for JobState {
    fn call(
        &mut self,
        endpoint: String,
        method: endpoint::Method,
        path: String,
        headers: Vec<(String, String)>,
        body: endpoint::Body,
    ) -> Result<endpoint::Response, endpoint::CloudError> {
        let request = Request {
            endpoint,
            method: self::method(method),
            path,
            headers,
            body: self::body(body),
        };
        let Some(session) = &mut self.session else {
            self.deny("kbhost:cloud/endpoint.call");
            return Err(endpoint::CloudError::Refused(NO_SESSION.to_owned()));
        };
        let answer = session.call(request);
        self.watch.set_waited(session.waited());
        answer.map(response).map_err(cloud_error)
    }

    fn locate(&mut self, address: String) -> Option<endpoint::Location> {
        let Location { endpoint, path } = self.session.as_mut()?.locate(&address)?;
        Some(endpoint::Location { endpoint, path })
    }

    fn pause(&mut self, milliseconds: u32) -> Result<(), endpoint::CloudError> {
        let Some(session) = &mut self.session else {
            self.deny("kbhost:cloud/endpoint.pause");
            return Err(endpoint::CloudError::Refused(NO_SESSION.to_owned()));
        };
        let paused = session.pause(Duration::from_millis(u64::from(milliseconds)));
        self.watch.set_waited(session.waited());
        paused.map_err(cloud_error)
    }
}

fn method(method: endpoint::Method) -> Method {
    match method {
        endpoint::Method::Get => Method::Get,
        endpoint::Method::Post => Method::Post,
        endpoint::Method::Put => Method::Put,
        endpoint::Method::Delete => Method::Delete,
    }
}

fn body(body: endpoint::Body) -> Body {
    match body {
        endpoint::Body::Empty => Body::Empty,
        endpoint::Body::Bytes(bytes) => Body::Bytes(bytes),
        endpoint::Body::Form(fields) => {
            let fields = fields.into_iter().map(|field| {
                let value = match field.value {
                    endpoint::FormValue::Text(text) => FormValue::Text(text),
                    endpoint::FormValue::InputFile(name) => FormValue::InputFile(name),
                };
                (field.name, value)
            });
            Body::Form(fields.collect())
        }
    }
}

fn response(response: Response) -> endpoint::Response {
    endpoint::Response {
        status: response.status,
        headers: response.headers,
        body: response.body,
    }
}

fn cloud_error(error: CallError) -> endpoint::CloudError {
    use endpoint::CloudError as Guest;
    match error {
        CallError::Refused(why) => Guest::Refused(stdio::line(&why)),
        CallError::Network(why) => Guest::Network(stdio::line(&why)),
        CallError::Timeout => Guest::Timeout,
        CallError::Cancelled => Guest::Cancelled,
        CallError::TooLarge(why) => Guest::TooLarge(stdio::line(&why)),
        CallError::Exhausted(why) => Guest::Exhausted(stdio::line(&why)),
        CallError::Tainted => Guest::Tainted,
    }
}
