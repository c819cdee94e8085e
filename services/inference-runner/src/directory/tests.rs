use super::*;
use crate::catalogue::tests::{backends, models};

fn directory(hold_new_models: bool) -> Directory {
    Directory::new(backends(&["a", "b"]), hold_new_models)
}

/// A round in which the backends list these.
fn update(directory: &Directory, listings: [Option<&[&str]>; 2]) {
    let listing = |ids: &[&str]| Listing { models: models(ids), left_out: Vec::new() };
    let round = directory.backends().into_iter().zip(listings);
    directory.update(round.map(|(backend, ids)| (backend, ids.map(listing))).collect());
}

/// The names on offer, those that are away in brackets.
fn offered(directory: &Directory) -> Vec<String> {
    let shown = |model: RunnerModel| {
        if model.away { format!("({})", model.model) } else { model.model.to_string() }
    };
    directory.offered().into_iter().map(shown).collect()
}

fn first(directory: &Directory, name: &str) -> Arc<Route> {
    directory.candidates(&name.parse().unwrap()).remove(0)
}

#[test]
fn a_backend_that_blinks_is_away_and_its_models_stay_on_offer_for_a_while() {
    let directory = directory(false);
    update(&directory, [Some(&["m"]), Some(&["m", "x"])]);
    assert_eq!(offered(&directory), ["a/m", "b/m", "m", "x"]);
    update(&directory, [Some(&["m"]), None]);
    assert!(directory.has_missing());
    assert_eq!(offered(&directory), ["a/m", "b/m", "m", "x"], "one miss is forgiven");
    for _ in 2..MISSES_TO_FORGET {
        update(&directory, [Some(&["m"]), None]);
        assert_eq!(offered(&directory), ["a/m", "b/m", "m", "(x)"]);
    }
    update(&directory, [Some(&["m"]), None]);
    assert_eq!(offered(&directory), ["m"], "gone for good");
    update(&directory, [Some(&["m"]), Some(&["m"])]);
    assert_eq!(offered(&directory), ["a/m", "b/m", "m"]);
}

#[test]
fn a_model_that_fails_three_times_in_a_row_is_away_until_it_answers() {
    let directory = directory(false);
    update(&directory, [Some(&["m", "x"]), None]);
    let route = first(&directory, "m");
    directory.failed(&route);
    directory.failed(&route);
    directory.succeeded(&route);
    (0..2).for_each(|_| directory.failed(&route));
    assert_eq!(offered(&directory), ["m", "x"]);
    directory.failed(&route);
    assert_eq!(offered(&directory), ["(m)", "x"]);
    assert!(Arc::ptr_eq(&directory.to_try()[0], &route) && directory.to_try().len() == 1);
    update(&directory, [Some(&["m", "x"]), None]);
    assert_eq!(offered(&directory), ["(m)", "x"]);
    for _ in 0..=TRIES_TO_FORGET {
        directory.failed_when_tried(&route, false);
    }
    assert_eq!(offered(&directory), ["x"], "for too long");
    directory.succeeded(&route);
    assert_eq!(offered(&directory), ["m", "x"]);
}

#[test]
fn a_healthy_sibling_comes_before_the_backend_that_was_asked_for() {
    let directory = directory(false);
    update(&directory, [Some(&["m"]), Some(&["m"])]);
    let order = |name: &str| -> Vec<String> {
        let candidates = directory.candidates(&name.parse().unwrap());
        candidates.iter().map(|route| route.backend.name().to_owned()).collect()
    };
    assert_eq!(order("a/m"), ["a", "b"]);
    assert_eq!(order("b/m"), ["b", "a"]);
    let asked = first(&directory, "a/m");
    directory.doubt(&asked);
    assert_eq!(order("a/m"), ["a", "b"], "a stranger's word alone takes no model off the market");
    directory.failed_when_tried(&asked, true);
    assert_eq!(order("a/m"), ["b", "a"]);
}

#[test]
fn under_the_plain_name_the_least_busy_backend_comes_first() {
    let directory = directory(false);
    update(&directory, [Some(&["m"]), Some(&["m"])]);
    let begin = |name: &str| first(&directory, name).backend.clone();
    let (one, two) = (begin("m"), begin("a/m"));
    assert_eq!((one.name(), two.name()), ("a", "a"));
    let _first = one.begin();
    assert_eq!((begin("m").name(), begin("a/m").name()), ("b", "a"));
    let other = begin("m");
    let (_second, _third) = (other.begin(), other.begin());
    assert_eq!(begin("m").name(), "a");
}

#[test]
fn who_answered_before_is_not_doubted_for_a_request_it_refuses() {
    let directory = directory(false);
    update(&directory, [Some(&["m"]), None]);
    let route = first(&directory, "m");
    directory.doubt(&route);
    assert_eq!(directory.to_try().len(), 1);
    directory.succeeded(&route);
    directory.doubt(&route);
    assert!(directory.to_try().is_empty());
}

#[test]
fn new_models_wait_for_a_probe_if_the_operator_wants_it_or_their_names_are_doubtful() {
    let directory = self::directory(true);
    update(&directory, [Some(&["m"]), None]);
    assert!(offered(&directory).is_empty());
    directory.to_try().iter().for_each(|route| directory.succeeded(route));
    update(&directory, [Some(&["m"]), None]);
    assert_eq!(offered(&directory), ["m"]);
    let directory = self::directory(false);
    update(&directory, [Some(&["m", "nomic-embed-text"]), None]);
    assert_eq!(offered(&directory), ["m"]);
    directory.to_try().iter().for_each(|route| directory.failed_when_tried(route, true));
    update(&directory, [Some(&["m", "nomic-embed-text"]), None]);
    assert_eq!(offered(&directory), ["m"]);
}

#[test]
fn another_file_keeps_what_is_known_of_backends_that_stay() {
    let directory = directory(false);
    update(&directory, [Some(&["m"]), Some(&["x"])]);
    directory.replace(backends(&["b", "c"]));
    assert_eq!(offered(&directory), ["x"]);
}

#[test]
fn a_doubt_goes_with_the_model_that_it_was_about() {
    let directory = directory(false);
    update(&directory, [Some(&["m"]), None]);
    directory.doubt(&first(&directory, "m"));
    assert_eq!(directory.to_try().len(), 1);
    update(&directory, [Some(&[]), None]);
    update(&directory, [Some(&["m"]), None]);
    assert!(directory.to_try().is_empty());
}
