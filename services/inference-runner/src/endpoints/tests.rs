use t4t_types::{ModelId, Xbzz};

use super::*;

fn parse(text: &str) -> Result<Endpoints, EndpointsError> {
    Endpoints::parse(Path::new("endpoints.json"), text.as_bytes())
}

#[test]
fn a_file_of_the_reference_is_read() {
    let endpoints = parse(
        r#"[{"name":"gpu-1","url":"http://127.0.0.1:11434","models":{"llama3:8b":{"inputBzz":"0.3","outputBzz":"1.5"}}},
            {"name":"hosted","url":"https://inference.example/v1","apiKey":"sk-secret"}]"#,
    )
    .unwrap();
    let first = endpoints.iter().next().unwrap();
    assert_eq!(first.name, "gpu-1");
    let prices = first.models[&"llama3:8b".parse::<ModelId>().unwrap()].prices.unwrap();
    assert_eq!(prices.input, Xbzz::from_plur(3_000_000_000_000_000));
    assert_eq!(endpoints.len(), 2);
    assert!(!format!("{endpoints:?}").contains("sk-secret"));
}

#[test]
fn each_mistake_is_named_with_its_entry_and_field() {
    let cases = [
        ("{}", "the whole file"),
        ("[]", "at least one backend"),
        ("[1]", "entry 1: expected an object"),
        (r#"[{"name":"","url":"http://a"}]"#, "entry 1, field \"name\""),
        (r#"[{"name":"a/b","url":"http://a"}]"#, "without \"/\""),
        (r#"[{"name":"a","url":"http://a"},{"name":"a","url":"http://b"}]"#, "entry 2, field \"name\""),
        (r#"[{"name":"a","url":"ftp://a"}]"#, "entry 1, field \"url\""),
        (r#"[{"name":"a","url":"http://me:sk-secret@a"}]"#, "write the key as \"apiKey\""),
        (r#"[{"name":"a","url":"http://a?key=1"}]"#, "may not hold"),
        (r#"[{"name":"a","url":"http://a","apiKey":7}]"#, "field \"apiKey\""),
        (r#"[{"name":"a","url":"http://a","apikey":"sk-secret"}]"#, "field \"apikey\": is not known"),
        (r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":0.3}}}]"#, "models.m.inputBzz"),
        (r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":"1","outputBzz":"-1"}}}]"#, "outputBzz"),
        (
            r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":"1","outputBZZ":"1"}}}]"#,
            "models.m.outputBZZ\": is not known",
        ),
        (r#"[{"name":"a","url":"http://a","models":{"m":{"inputBzz":"1"}}}]"#, "models.m.outputBzz"),
        (r#"[{"name":"a","url":"http://a","models":{"m":{"answersAs":7}}}]"#, "models.m.answersAs"),
        (r#"[{"name":"a","url":"http://a","models":{"m":7}}]"#, "models.m"),
        (r#"[{"name":"a","url":"http://a","slots":0}]"#, "field \"slots\""),
        ("[{\n,", "line 2"),
    ];
    for (text, part) in cases {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.starts_with("endpoints.json") && error.contains(part), "{text}: {error}");
        assert!(!error.contains("sk-secret"), "{error}");
    }
}

#[test]
fn a_name_in_the_wrong_case_is_used_and_told_and_any_other_is_told() {
    let price = r#"{"inputBzz":"2","outputBzz":"3"}"#;
    let file = format!(
        r#"[{{"name":"a","url":"http://a","models":{{"Llama3:8B":{price},"qwen":{price},"mistrall":{price},"zzzzzz":{price},"exact":{price}}}}}]"#
    );
    let endpoints = parse(&file).unwrap();
    let endpoint = endpoints.iter().next().unwrap();
    let listed: Vec<ModelId> =
        ["llama3:8b", "qwen:latest", "mistral", "exact"].iter().map(|id| id.parse().unwrap()).collect();
    let is_priced = |id: &ModelId| endpoint.terms_of(id).is_some_and(|terms| terms.prices.is_some());
    assert_eq!(listed.iter().map(is_priced).collect::<Vec<_>>(), [true, true, false, true]);
    let told = endpoint.unknown_models(&listed);
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told[0].contains("lists \"llama3:8b\": write it so"), "{told:?}");
    assert!(told.iter().any(|told| told.contains("did you mean \"mistral\"?")), "{told:?}");
    assert!(told.iter().any(|told| told.contains("\"zzzzzz\"") && told.ends_with("is not used")), "{told:?}");
}

#[test]
fn a_missing_file_says_what_to_write() {
    let error = Endpoints::load(Path::new("/nowhere/endpoints.json")).unwrap_err();
    assert!(error.to_string().contains("\"url\": \"http://127.0.0.1:11434\""), "{error}");
}
