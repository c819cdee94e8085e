//! The backends' file.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;
use secrecy::SecretString;
use t4t_inference_runner::Endpoints;

fuzz_target!(|data: &[u8]| {
    match Endpoints::parse(Path::new("f"), data) {
        Ok(endpoints) => {
            let hidden = format!("{:?}", SecretString::from("any key"));
            for key in endpoints.iter().filter_map(|endpoint| endpoint.api_key.as_ref()) {
                assert_eq!(format!("{key:?}"), hidden, "a key is shown");
            }
        }
        Err(error) => drop(error.to_string()),
    }
});
