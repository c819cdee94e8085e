//! The inference backends: is their file one that a provider takes, and does each of them answer.

use std::path::PathBuf;

use super::Finding;

/// The backends of a provider, as its runner finds them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backends {
    /// The file that names them.
    pub file: PathBuf,
    /// What each shows, or why the file is not taken.
    pub shown: Result<Vec<Backend>, String>,
}

/// What one backend shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name.
    pub name: String,
    /// How many models it would be offered with, or why it lists none.
    pub models: Result<usize, String>,
    /// What a runner would warn of.
    pub warnings: Vec<String>,
}

impl Backends {
    pub(super) fn findings(self) -> Vec<Finding> {
        match self.shown {
            Ok(backends) => backends.into_iter().flat_map(Backend::findings).collect(),
            Err(reason) => {
                let next_step = format!(
                    "write [{{\"name\": \"ollama\", \"url\": \"http://127.0.0.1:11434\"}}] to {}",
                    self.file.display()
                );
                vec![Finding::bad("backends", reason, next_step)]
            }
        }
    }
}

impl Backend {
    fn findings(self) -> Vec<Finding> {
        let Self { name, models, warnings } = self;
        let what = "backend";
        let listed = match models {
            Ok(0) => Finding::bad(
                what,
                format!("{name} serves no models that can be offered"),
                "load one, such as `ollama pull llama3.2:1b`",
            ),
            Ok(models) => Finding::good(what, format!("{name} serves {models} models")),
            Err(reason) => Finding::bad(what, format!("{name}: {reason}"), "start it, or correct its url"),
        };
        let warned = warnings.into_iter().map(|warning| {
            Finding::bad(
                what,
                format!("{name}: {warning}"),
                "correct endpoints.json: a running provider reads it anew",
            )
        });
        std::iter::once(listed).chain(warned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backend_that_can_sell_nothing_says_what_to_do() {
        let shown = |models| Backend { name: "gpu".into(), models, warnings: vec!["two names".into()] };
        let steps = |backend: Backend| backend.findings().into_iter().map(|finding| finding.next_step);
        let warned = Some("correct endpoints.json: a running provider reads it anew".to_owned());
        assert_eq!(Vec::from_iter(steps(shown(Ok(2)))), [None, warned.clone()]);
        let empty = Some("load one, such as `ollama pull llama3.2:1b`".to_owned());
        assert_eq!(Vec::from_iter(steps(shown(Ok(0)))), [empty, warned.clone()]);
        let away = Some("start it, or correct its url".to_owned());
        assert_eq!(Vec::from_iter(steps(shown(Err("no answer".into())))), [away, warned]);
    }

    #[test]
    fn a_file_that_is_not_taken_is_shown_as_it_must_be() {
        let backends = Backends { file: "/data/endpoints.json".into(), shown: Err("no such file".into()) };
        let findings = backends.findings();
        assert_eq!(findings[0].found, "no such file");
        assert!(findings[0].next_step.as_ref().unwrap().ends_with("to /data/endpoints.json"));
    }
}
