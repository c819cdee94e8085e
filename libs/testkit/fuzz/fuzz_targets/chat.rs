//! What apps ask for in every dialect of the edge, and a provider's answer to it.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| t4t_openai_api::feed(data));
