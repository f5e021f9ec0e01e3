#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| twinguard_fuzz::gateway::standby(data));
