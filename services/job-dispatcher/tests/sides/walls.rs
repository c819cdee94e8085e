//! The walls inside the crate: who may know whom, read from the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Rooms, and those they must not know.
const WALLS: &[(&str, &[&str])] = &[
    ("buying", &["selling"]),
    ("selling", &["buying"]),
    ("carriage", &["buying", "selling"]),
    ("buying::choice", &["buying::payment", "buying::purchase"]),
    ("buying::delivery", &["buying::payment", "buying::purchase"]),
    ("buying::payment", &["buying::purchase"]),
    ("selling::listing", &["selling::payment", "selling::sales"]),
    ("selling::runners", &["selling::payment", "selling::sales"]),
    ("selling::serving", &["selling::payment", "selling::sales"]),
];

/// Modules that import each other in a circle. To be untied: the list may only get shorter.
const KNOWN_CIRCLES: &[&[&str]] = &[];

/// A module's path below the crate, such as `buying::answer`, with its source; tests are left out.
fn modules() -> BTreeMap<String, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut paths, mut found) = (Vec::new(), BTreeMap::new());
    sources(&root, &mut paths);
    for path in paths {
        let below = path.strip_prefix(&root).unwrap().with_extension("");
        let mut parts: Vec<&str> = below.iter().map(|part| part.to_str().unwrap()).collect();
        if matches!(parts.last(), Some(&"mod" | &"lib")) {
            parts.pop();
        }
        let (name, text) = (parts.join("::"), std::fs::read_to_string(&path).unwrap());
        // The binary is another crate, and tests may know whom they like.
        let is_binary = matches!(name.as_str(), "main" | "apart");
        if !is_binary && !name.ends_with("tests") {
            found.insert(name, without_tests(&text));
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            found.push(path);
        }
    }
}

/// What stands before the tests, without comments.
fn without_tests(text: &str) -> String {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The paths that a module names, from the crate's root on: `crate::…` and `super::…`, groups taken apart.
fn named(module: &str, text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (start, _) in text.match_indices("crate::").chain(text.match_indices("super::")) {
        let is_whole = !text[..start].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_');
        // Only the first of several `super::` begins a path.
        let begins = is_whole && !text[..start].ends_with("super::");
        if !begins || text[..start].trim_end().ends_with("pub(in") {
            continue;
        }
        let mut rest = &text[start..];
        let mut base: Vec<&str> = Vec::new();
        if let Some(after) = rest.strip_prefix("crate::") {
            rest = after;
        } else {
            base = module.split("::").collect();
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
        }
        for path in spread(rest) {
            let whole: Vec<&str> = base.iter().copied().chain(path.iter().map(String::as_str)).collect();
            found.insert(whole.join("::"));
        }
    }
    found
}

/// The paths of an import's rest: `a::{b, c::d}` is `a::b` and `a::c::d`.
fn spread(text: &str) -> Vec<Vec<String>> {
    let end = text.find(|letter: char| !(letter.is_alphanumeric() || letter == '_')).unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    if !word.is_empty() {
        return match rest.strip_prefix("::") {
            Some(deeper) => {
                let mut paths = spread(deeper);
                paths.iter_mut().for_each(|path| path.insert(0, word.to_owned()));
                paths
            }
            None => vec![vec![word.to_owned()]],
        };
    }
    let Some(group) = text.strip_prefix('{') else { return vec![Vec::new()] };
    let (mut depth, mut begin, mut paths) = (0, 0, Vec::new());
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                let item = group[begin..at].trim();
                if !item.is_empty() {
                    paths.extend(spread(item));
                }
                begin = at + 1;
                if letter == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    paths
}

/// Who knows whom: each path belongs to the deepest module that it begins with.
fn imports(modules: &BTreeMap<String, String>) -> BTreeMap<String, BTreeSet<String>> {
    let owner = |path: &str| {
        let mut parts: Vec<&str> = path.split("::").collect();
        while !parts.is_empty() {
            let name = parts.join("::");
            if modules.contains_key(&name) {
                return Some(name);
            }
            parts.pop();
        }
        None
    };
    let of = |(module, text): (&String, &String)| {
        let known = named(module, text).iter().filter_map(|path| owner(path)).collect::<BTreeSet<_>>();
        let others = known.into_iter().filter(|other| other != module);
        (module.clone(), others.collect())
    };
    modules.iter().map(of).collect()
}

fn reaches(imports: &BTreeMap<String, BTreeSet<String>>, from: &str, to: &str) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(module) = open.pop() {
        for next in imports.get(module).into_iter().flatten() {
            if next == to {
                return true;
            }
            if seen.insert(next.as_str()) {
                open.push(next);
            }
        }
    }
    false
}

/// The groups of modules that reach each other.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<Vec<String>> {
    let in_circles = imports.keys().filter(|module| reaches(imports, module, module));
    in_circles
        .map(|module| {
            let with = imports.keys().filter(|other| {
                *other == module || (reaches(imports, module, other) && reaches(imports, other, module))
            });
            with.cloned().collect()
        })
        .collect()
}

#[test]
fn neither_side_knows_the_other_and_what_carries_their_messages_knows_neither() {
    let modules = modules();
    let imports = imports(&modules);
    let is_in = |module: &str, room: &str| module == room || module.starts_with(&format!("{room}::"));
    for (room, others) in WALLS {
        assert!(modules.keys().any(|module| is_in(module, room)), "there is no {room}");
        for (module, known) in imports.iter().filter(|(module, _)| is_in(module, room)) {
            let wrong = known.iter().find(|known| others.iter().any(|other| is_in(known, other)));
            assert_eq!(wrong, None, "{module} reaches through a wall");
        }
    }
}

#[test]
fn modules_import_each_other_in_no_circle_but_the_listed_ones() {
    let found = circles(&imports(&modules()));
    let known: BTreeSet<Vec<String>> = KNOWN_CIRCLES
        .iter()
        .map(|circle| circle.iter().map(|module| (*module).to_owned()).collect())
        .collect();
    let new: Vec<_> = found.difference(&known).collect();
    assert!(new.is_empty(), "new circles: {new:#?}");
    let gone: Vec<_> = known.difference(&found).collect();
    assert!(gone.is_empty(), "untied, take them off the list: {gone:#?}");
}

#[test]
fn imports_are_read_however_they_are_written() {
    let text = "use crate::carriage::{Courier, inbox::{self, Inbox}};\nuse super::super::age::age_ms;\n\
                fn f() { crate::claims::kept_claim(super::service::Buyer); }\nuse t4t_crate::other;";
    let found: Vec<String> = named("buying::deep::file", text).into_iter().collect();
    let expected = [
        "buying::age::age_ms",
        "buying::deep::service::Buyer",
        "carriage::Courier",
        "carriage::inbox::Inbox",
        "carriage::inbox::self",
        "claims::kept_claim",
    ];
    assert_eq!(found, expected);
    let modules =
        [("a", "use crate::b::c;"), ("b", "use crate::d;"), ("d", "use crate::a;"), ("e", "use crate::a;")];
    let modules = modules.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    assert_eq!(circles(&imports(&modules)), [["a", "b", "d"].map(str::to_owned).to_vec()].into());
}
