use serde_json::json;

use super::*;

fn named(code: i64, message: &str, data: Value) -> Option<String> {
    Revert::from_answer(code, message, Some(&data)).map(|revert| revert.to_string())
}

#[test]
fn the_nodes_forms_of_one_refusal_are_all_understood() {
    let forms = [
        (3, "execution reverted", json!("0x785077af")),
        (3, "execution reverted: custom error 0x785077af", json!("0x785077af")),
        (-32015, "VM execution error.", json!("Reverted 0x785077af")),
        (-32000, "execution reverted", json!({ "data": "0x785077af" })),
        (-32000, "execution reverted: InsufficientStakeForJob()", Value::Null),
        (-32603, "VM Exception: reverted with custom error InsufficientStakeForJob()", Value::Null),
    ];
    for (code, message, data) in forms {
        assert_eq!(named(code, message, data).as_deref(), Some("InsufficientStakeForJob"), "{message}");
    }
}

#[test]
fn texts_panics_and_failures_of_the_machine_are_told_apart() {
    let text = "0x08c379a0000000000000000000000000000000000000000000000000000000000000002000000000000000000000000000\
        000000000000000000000000000000000000036e6f700000000000000000000000000000000000000000000000000000000000";
    let told = [
        (3, "execution reverted", json!(text), "\"nop\""),
        (3, "execution reverted", json!(format!("0x4e487b71{:064x}", 0x11)), "panic 0x11"),
        (-32000, "out of gas", Value::Null, "out of gas"),
        (-32003, "EVM error OutOfGas", Value::Null, "out of gas"),
        (-32000, "gas required exceeds allowance (21000)", Value::Null, "out of gas"),
        (-32000, "invalid opcode: INVALID", Value::Null, "invalid opcode"),
        (-32015, "VM execution error.", json!("Bad instruction fe"), "invalid opcode"),
        (-32603, "EVM error InvalidFEOpcode", Value::Null, "invalid opcode"),
        (3, "execution reverted", json!("0xdeadbeef"), "unknown error 0xdeadbeef"),
        (3, "execution reverted", json!("0x"), "no reason given"),
        (-32000, "execution reverted: too late", Value::Null, "\"too late\""),
    ];
    for (code, message, data, expected) in told {
        assert_eq!(named(code, message, data).as_deref(), Some(expected), "{message}");
    }
}

#[test]
fn an_error_that_is_no_refusal_stays_what_it_is() {
    assert_eq!(named(-32601, "the method does not exist", Value::Null), None);
    let error = ChainError::Answer { code: -32000, message: "header not found".into(), data: None };
    assert_eq!(explained(error.clone()), error);
}

#[test]
fn every_reason_comes_with_a_sentence() {
    for error in ContractError::ALL {
        assert!(error.advice().ends_with('.') && error.advice().len() > 20, "{error:?}");
    }
    assert!(Revert::from_data(Vec::new()).advice().contains("addresses"));
}

proptest::proptest! {
    #[test]
    fn any_data_is_read(data: Vec<u8>, text in ".{0,200}", code: i64) {
        let _ = Revert::from_data(data).to_string();
        let _ = Revert::from_answer(code, &text, Some(&json!(text)));
        for selector in [selector("Error(string)"), selector("Panic(uint256)")] {
            let _ = Revert::from_data([&selector[..], text.as_bytes()].concat()).to_string();
        }
    }
}
