//! The backends' file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use secrecy::ExposeSecret;
use t4t_inference_runner::Endpoints;

/// A shorter key may stand in a text by chance.
const TELLING_LENGTH: usize = 16;

fuzz_target!(|data: &[u8]| {
    match Endpoints::parse(Path::new("f"), data) {
        Ok(endpoints) => {
            let shown =
                format!("{:?}", endpoints.iter().map(|endpoint| &endpoint.api_key).collect::<Vec<_>>());
            for key in endpoints.iter().filter_map(|endpoint| endpoint.api_key.as_ref()) {
                let key = key.expose_secret();
                assert!(key.len() < TELLING_LENGTH || !shown.contains(key), "a key is shown");
            }
        }
        Err(error) => drop(error.to_string()),
    }
});
