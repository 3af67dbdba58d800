//! The program. What it does is in the library.

use std::process::ExitCode;

use kubectl_pull_image::{cli::Cli, failure, progress::Voice, run};

fn main() -> ExitCode {
    let cli = Cli::read();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(run(&cli));
            // What is still at work has been given up.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(error.into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            Voice::new(false, 0).say(&format!("error: {error:#}"));
            ExitCode::from(failure::status(&error) as u8)
        }
    }
}
