//! The worker alone, without app server and proxy: the suite in `appserver/worker/tests`, which plays both.

use tidegate_host::{Output, Spawn, worker_library_names};
use tidegate_tests::program::{executable, python};
use tidegate_tests::site;
use tokio::io::AsyncReadExt as _;

#[tokio::test]
async fn a_worker_conforms_to_pep_3333_and_to_the_contract() {
    // Built beside the programs.
    let directory = executable("tidegate-appserver").parent().unwrap().to_owned();
    let library = worker_library_names().iter().map(|name| directory.join(name)).find(|path| path.is_file());
    let library = library.expect("the worker's library is missing: run `cargo build --workspace`");
    let script = site::package().join("../appserver/worker/tests/conformance.py");

    let mut suite = Spawn::new(python());
    suite.arguments = vec![script.into(), library.into()];
    suite.output = Output::Capture;
    let mut suite = suite.start().unwrap();
    let (mut stdout, mut stderr) = (suite.take_stdout().unwrap(), suite.take_stderr().unwrap());
    let (mut out, mut err) = (String::new(), String::new());
    // Every wait in the suite is bounded, so the suite is.
    let (read_out, read_err) = tokio::join!(stdout.read_to_string(&mut out), stderr.read_to_string(&mut err));
    read_out.and(read_err).unwrap();
    let exit = suite.wait().await.unwrap();
    assert!(exit.success(), "{exit}\n{err}\n{out}");
    let cases: u32 = out.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(cases >= 900, "only {cases} cases have run\n{err}");
    println!("{cases} cases");
}
