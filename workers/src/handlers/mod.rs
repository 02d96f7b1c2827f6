//! The handlers, one file for each kind of the list in `schemas::kinds`.

macro_rules! declare {
    ($($module:ident :: $job:ident,)+) => { $(mod $module;)+ };
}
schemas::for_each_job!(declare);
