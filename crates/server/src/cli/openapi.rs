//! `luopan openapi`: the description of the HTTP API, as it is committed under `openapi/`.

use super::output::Said;

pub(super) fn run() -> Said {
    Said::raw(crate::http::openapi_json())
}
