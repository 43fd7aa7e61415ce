//! Numbered steps with their durations, printed as they run.

use std::time::Instant;

use anyhow::{Context as _, Result};

type Step<'a> = (String, Box<dyn FnOnce() -> Result<()> + 'a>);

/// The steps of one verb, in order. The first that fails ends the run.
#[derive(Default)]
pub(crate) struct Plan<'a> {
    steps: Vec<Step<'a>>,
}

impl<'a> Plan<'a> {
    /// Appends a step.
    pub(crate) fn step(&mut self, name: impl Into<String>, work: impl FnOnce() -> Result<()> + 'a) {
        self.steps.push((name.into(), Box::new(work)));
    }

    /// Runs the steps.
    pub(crate) fn run(self) -> Result<()> {
        let total = self.steps.len();
        for (index, (name, work)) in self.steps.into_iter().enumerate() {
            let number = index + 1;
            println!("[{number}/{total}] {name}");
            let start = Instant::now();
            work().with_context(|| format!("step {number}, {name}, failed"))?;
            println!("[{number}/{total}] {name} ... {:.0} s", start.elapsed().as_secs_f64());
        }
        Ok(())
    }
}
