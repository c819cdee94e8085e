//! The house's rule within a crate: modules import each other in one direction, never in a circle.
//!
//! An import is a `use` of this crate's own names, or such a path in the code. A name that a module only hands on (`pub
//! use`) counts as an import of the module that has it. What a module takes from those above it in its own folder does not
//! count: they are one room.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Crates that are not free of circles yet, and how many of their modules stand in one at the most. Nothing is added here.
const NOT_YET_FREE: &[(&str, usize)] = &[("libs/chain", 16), ("services/registry-watcher", 6)];

/// A module's path within its crate; the root's is empty. Each program of a crate is a root of its own.
type Module = Vec<String>;

/// The modules of one crate.
struct Crate {
    texts: BTreeMap<Module, String>,
}

/// One name that is taken from somewhere: the path as it is written, and whether it is only handed on.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    path: Vec<String>,
    is_handed_on: bool,
}

impl Crate {
    fn read(folder: &Path) -> Self {
        let mut paths = Vec::new();
        sources(&folder.join("src"), &mut paths);
        let mut texts = BTreeMap::new();
        for path in paths {
            let module = module_of(path.strip_prefix(folder.join("src")).unwrap());
            if module.last().is_none_or(|name| name != "tests") {
                texts.insert(module, code(&std::fs::read_to_string(&path).unwrap()));
            }
        }
        Self { texts }
    }

    /// Which module imports from which.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<&Module>> {
        self.texts.keys().map(|module| (module, self.imports_of(module))).collect()
    }

    fn imports_of(&self, module: &Module) -> BTreeSet<&Module> {
        let text = &self.texts[module];
        let (uses, rest) = split_uses(text);
        let mut taken = uses;
        taken.extend(paths_in(&rest));
        let is_used = |taken: &Taken| {
            !taken.is_handed_on || taken.path.last().is_some_and(|name| words(&rest).any(|word| word == name))
        };
        let found = taken.iter().filter(|taken| is_used(taken)).filter_map(|taken| {
            let path: Vec<&str> = taken.path.iter().map(String::as_str).collect();
            self.home(module, &path, &mut BTreeSet::new())
        });
        // A module's own folder is one room with it: what lies in there may take from it.
        found.filter(|found| !module.starts_with(found)).collect()
    }

    /// The module in which a name that `module` writes as `path` lives, if it is one of this crate's.
    fn home<'a>(
        &'a self,
        module: &Module,
        path: &[&str],
        seen: &mut BTreeSet<(Module, String)>,
    ) -> Option<&'a Module> {
        let mut at = module.clone();
        let mut rest = path;
        match path.first().copied()? {
            "crate" => {
                at.clear();
                at.extend(module.first().filter(|name| name.starts_with("bin ")).cloned());
                rest = &path[1..];
            }
            "self" => rest = &path[1..],
            "super" => {}
            first => {
                let child = joined(&at, first);
                if !self.texts.contains_key(&child) {
                    return None;
                }
            }
        }
        while let Some((name, further)) = rest.split_first() {
            let child = joined(&at, name);
            if *name == "super" {
                at.pop()?;
            } else if self.texts.contains_key(&child) {
                at = child;
            } else {
                return self.handed_on(&at, name, seen).or_else(|| self.known(&at));
            }
            rest = further;
        }
        self.known(&at)
    }

    /// Where a name lives that a module has from elsewhere.
    fn handed_on<'a>(
        &'a self,
        module: &Module,
        name: &str,
        seen: &mut BTreeSet<(Module, String)>,
    ) -> Option<&'a Module> {
        if !seen.insert((module.clone(), name.to_owned())) {
            return None;
        }
        let (uses, _) = split_uses(self.texts.get(module)?);
        let from = uses.into_iter().find(|taken| taken.path.last().is_some_and(|last| last == name))?;
        let path: Vec<&str> = from.path.iter().map(String::as_str).collect();
        self.home(module, &path, seen)
    }

    fn known(&self, module: &Module) -> Option<&Module> {
        self.texts.get_key_value(module).map(|(module, _)| module)
    }

    /// The circles: modules of which each reaches each other.
    fn circles(&self) -> Vec<Vec<String>> {
        let imports = self.imports();
        let reached: BTreeMap<&Module, BTreeSet<&Module>> =
            imports.keys().map(|module| (*module, reach(&imports, module))).collect();
        let mut circles: BTreeSet<Vec<String>> = BTreeSet::new();
        for (module, others) in &reached {
            if others.contains(module) {
                let circle = others.iter().filter(|other| reached[*other].contains(module));
                circles.insert(circle.map(|module| shown(module)).collect());
            }
        }
        circles.into_iter().collect()
    }
}

fn reach<'a>(imports: &BTreeMap<&'a Module, BTreeSet<&'a Module>>, from: &Module) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&Module> = imports[from].iter().copied().collect();
    while let Some(module) = open.pop() {
        if reached.insert(module) {
            open.extend(&imports[module]);
        }
    }
    reached
}

fn joined(module: &Module, name: &str) -> Module {
    module.iter().cloned().chain([name.to_owned()]).collect()
}

fn shown(module: &Module) -> String {
    if module.is_empty() { "lib".to_owned() } else { module.join("::") }
}

/// The module that a file below `src` is.
fn module_of(file: &Path) -> Module {
    let mut parts: Vec<String> =
        file.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let name = parts.pop().unwrap();
    match (name.as_str(), parts.as_slice()) {
        ("lib", []) => {}
        ("main", []) => parts.push("bin main".into()),
        (_, [bin, ..]) if bin == "bin" => {
            // A program in a file, or in a folder with its modules.
            let program = if parts.len() > 1 { parts[1].clone() } else { name.clone() };
            let mut module = vec![format!("bin {program}")];
            module.extend(parts.into_iter().skip(2));
            module.extend(Some(name).filter(|name| *name != program && name != "main" && name != "mod"));
            return module;
        }
        ("mod", _) => {}
        _ => parts.push(name),
    }
    parts
}

/// A file without comments, texts in quotes and tests.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let mut code = String::new();
    for line in lines {
        let mut is_quoted = false;
        for letter in line.chars() {
            is_quoted ^= letter == '"';
            code.push(if is_quoted { ' ' } else { letter });
        }
        code.push('\n');
    }
    code
}

/// What a file's `use` lines take, and the file without them.
fn split_uses(text: &str) -> (Vec<Taken>, String) {
    let (mut taken, mut rest) = (Vec::new(), String::new());
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let (visibility, what) = match line.trim_start().split_once("use ") {
            Some((before, what)) if before.is_empty() || before.starts_with("pub") => (before, what),
            _ => {
                rest.push_str(line);
                rest.push('\n');
                continue;
            }
        };
        let mut tree = what.to_owned();
        while !tree.contains(';') {
            tree.push_str(lines.next().unwrap_or(";"));
        }
        let tree: String = tree.chars().filter(|letter| *letter != ';').collect();
        let is_handed_on = !visibility.is_empty();
        flatten(tree.trim(), &[], &mut |path| taken.push(Taken { path, is_handed_on }));
    }
    (taken, rest)
}

/// The paths of a tree such as `a::{b, c::{d, e}}`.
fn flatten(tree: &str, before: &[String], found: &mut impl FnMut(Vec<String>)) {
    let tree = tree.trim();
    let Some((head, inner)) = tree.split_once('{') else {
        // What it is called here does not matter: a handed-on name is looked for under its own.
        let path = tree.split(" as ").next().unwrap_or_default();
        let names = path
            .split("::")
            .map(str::trim)
            .filter(|name| !name.is_empty() && *name != "self" || before.is_empty());
        let names = names.filter(|name| !name.is_empty()).map(str::to_owned);
        return found(before.iter().cloned().chain(names).collect());
    };
    let names = head.split("::").map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned);
    let before: Vec<String> = before.iter().cloned().chain(names).collect();
    let inner = inner.rsplit_once('}').map_or(inner, |(inner, _)| inner);
    let (mut depth, mut begun) = (0, 0);
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[begun..at].trim().is_empty() {
                    flatten(&inner[begun..at], &before, found);
                }
                begun = at + 1;
            }
            _ => {}
        }
    }
}

/// The paths of two names and more in the code.
fn paths_in(text: &str) -> Vec<Taken> {
    let is_part = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == ':';
    let words = text.split(|letter| !is_part(letter)).filter(|word| word.contains("::"));
    let path = |word: &str| word.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect();
    words.map(|word| Taken { path: path(word), is_handed_on: false }).collect()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_')
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        match path.is_dir() {
            true => sources(&path, found),
            false if path.extension().is_some_and(|end| end == "rs") => found.push(path),
            false => {}
        }
    }
}

fn crates() -> BTreeMap<String, Crate> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut crates = BTreeMap::new();
    for rooms in ["libs", "services"] {
        for room in std::fs::read_dir(root.join(rooms)).unwrap() {
            let room = room.unwrap().path();
            let name = format!("{rooms}/{}", room.file_name().unwrap().to_string_lossy());
            crates.insert(name, Crate::read(&room));
        }
    }
    crates
}

#[test]
fn no_modules_of_a_crate_import_each_other_in_a_circle() {
    let crates = crates();
    assert!(crates.len() >= 20, "{} crates", crates.len());
    let listed: BTreeMap<&str, usize> = NOT_YET_FREE.iter().copied().collect();
    let mut wrong = Vec::new();
    for (name, of_crate) in &crates {
        let circles = of_crate.circles();
        let tied: usize = circles.iter().map(Vec::len).sum();
        let most = listed.get(name.as_str()).copied().unwrap_or(0);
        if tied > most {
            let circles: Vec<String> = circles.iter().map(|circle| circle.join(", ")).collect();
            wrong.push(format!(
                "{name}: {tied} modules in circles, at most {most}:\n  {}",
                circles.join("\n  ")
            ));
        } else if tied == 0 && most > 0 {
            wrong.push(format!("{name} is free of circles: take it off the list"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[cfg(test)]
mod reading {
    use super::*;

    fn of(files: &[(&str, &str)]) -> Crate {
        let texts = files.iter().map(|(file, text)| (module_of(Path::new(file)), code(text))).collect();
        Crate { texts }
    }

    #[test]
    fn a_circle_is_found_through_names_that_are_handed_on() {
        let found = of(&[
            ("lib.rs", "mod a;\nmod b;\npub use a::A;\n"),
            ("a.rs", "use crate::b::{self, B};\npub struct A(B);\n"),
            ("b.rs", "use super::A;\npub struct B(A);\n"),
        ]);
        assert_eq!(found.circles(), [["a", "b"]]);
    }

    #[test]
    fn a_module_and_what_lies_in_its_folder_are_one_room_and_no_way_round_for_others() {
        let parent = ("a.rs", "mod child;\npub struct Part;\npub fn ask() { child::whole(Part) }\n");
        let child = ("a/child.rs", "use super::Part;\nuse crate::b::B;\npub fn whole(_: Part, _: B) {}\n");
        let apart = ("b.rs", "pub struct B;\n");
        assert!(of(&[("lib.rs", "mod a;\nmod b;\n"), parent, child, apart]).circles().is_empty());
        let back = ("b.rs", "use crate::a::Part;\npub struct B(Part);\n");
        assert_eq!(
            of(&[("lib.rs", "mod a;\nmod b;\n"), parent, child, back]).circles(),
            [["a", "a::child", "b"]]
        );
    }

    #[test]
    fn comments_texts_and_tests_import_nothing() {
        let found = of(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", "use super::b::B;\npub struct A(B);\n"),
            (
                "b.rs",
                "//! See [crate::a::A].\npub struct B;\npub const T: &str = \"crate::a::A\";\n\n#[cfg(test)]\nmod tests {\n    use crate::a::A;\n}\n",
            ),
        ]);
        assert!(found.circles().is_empty());
        assert_eq!(found.imports()[&vec!["a".to_owned()]].len(), 1);
    }

    #[test]
    fn a_program_of_the_crate_has_modules_of_its_own() {
        let found = of(&[
            ("lib.rs", "pub struct Whole;\n"),
            ("main.rs", "mod apart;\nuse crate::apart::Apart;\n"),
            ("bin/table/main.rs", "mod cells;\nuse crate::cells::Cell;\n"),
            ("bin/table/cells.rs", "pub struct Cell;\n"),
        ]);
        assert!(found.circles().is_empty());
        assert_eq!(found.imports()[&vec!["bin table".to_owned()]].len(), 1);
    }
}
