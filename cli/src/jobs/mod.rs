//! `feat jobs`: look at jobs and change them, page by page, whatever their number.

mod change;
mod progress;
mod select;
mod view;

use crate::{
    args::{self, ListJobs, ShowJob},
    failure::Failure,
    output::{self, Form},
    place::{self, Opened},
};
use change::Verb;
use select::Pages;

/// Does what was asked of jobs.
///
/// # Errors
///
/// [`Failure`]; what was changed until then stays changed and was counted.
pub(crate) async fn run(command: args::Jobs) -> Result<(), Failure> {
    let opened = match &command {
        args::Jobs::List(args) => place::open(&args.place.inner).await?,
        args::Jobs::Show(args) => place::open(&args.place.inner).await?,
        args::Jobs::Retry(args) => {
            change::refuse_unclear(args, Verb::Retry)?;
            place::open(&args.place.inner).await?
        }
        args::Jobs::Cancel(args) => {
            change::refuse_unclear(args, Verb::Cancel)?;
            place::open(&args.place.inner).await?
        }
    };
    let outcome = match &command {
        args::Jobs::List(args) => list(&opened, args).await,
        args::Jobs::Show(args) => show(&opened, args).await,
        args::Jobs::Retry(args) => change::run(&opened, args, Verb::Retry).await,
        args::Jobs::Cancel(args) => change::run(&opened, args, Verb::Cancel).await,
    };
    opened.close().await;
    outcome
}

async fn list(opened: &Opened, args: &ListJobs) -> Result<(), Failure> {
    let filter = select::filter(&opened.store, &args.filter, &[]).await?;
    let limit = if args.all { u64::MAX } else { args.limit };
    let form = Form::chosen(args.place.json);
    let mut pages = Pages::new(opened.store.clone(), filter, limit);
    let mut listed = 0;
    while let Some(page) = pages.next().await? {
        listed += page.len() as u64;
        match form {
            Form::Json => page.iter().try_for_each(output::json)?,
            Form::Table => output::line(view::rows(&page))?,
        }
    }
    if form == Form::Table {
        let more = if listed == limit { "; there may be more, see --limit and --all" } else { "" };
        output::line(format!("{}{more}", output::counted(listed, "job")))?;
    }
    Ok(())
}

async fn show(opened: &Opened, args: &ShowJob) -> Result<(), Failure> {
    let Some(job) = opened.store.jobs.get(args.id).await? else {
        return Err(Failure::setup(
            format!("there is no job {}", args.id),
            "Settled jobs are forgotten after worker.retention; `feat jobs list` shows the others",
        ));
    };
    match Form::chosen(args.place.json) {
        Form::Json => output::json(&job)?,
        Form::Table => output::line(view::record(&job))?,
    }
    Ok(())
}
