//! A job of the escrow by the name under which it is worked on.

use t4t_types::{JobId, JobRef};

/// What the escrow's jobs' names begin with.
const PREFIX: &str = "escrow:";

/// The name of a job.
pub(super) fn name_of(job: JobId) -> JobRef {
    format!("{PREFIX}{job}").parse().expect("a job's id has letters and digits only")
}

/// The job of a name; `None` if it is none of the escrow's.
pub(super) fn job_of(name: &JobRef) -> Option<JobId> {
    name.as_str().strip_prefix(PREFIX)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_found_by_its_name_and_others_jobs_are_not() {
        let job = JobId::new([7; 32]);
        assert_eq!(job_of(&name_of(job)), Some(job));
        assert_eq!(job_of(&"channel:1".parse().unwrap()), None);
    }
}
