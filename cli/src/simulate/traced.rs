//! A trace as the application: each of its series is a function.

use flyball_app::workload::{FUNCTIONS_MAX, Volume, Workload, trace};

/// Makes functions of the series of all traces that are meant so, and their traffic. Answers the template of these
/// functions.
///
/// # Errors
/// Traffic beside it that is to come in at an application that nothing describes; a trace without events.
pub(super) fn expand(workload: &mut Workload) -> Result<String, String> {
    let mut template = String::new();
    let mut first = 0;
    for (name, source) in std::mem::take(&mut workload.traffic) {
        if !source.as_functions {
            return Err(format!(
                "[traffic.{name}] comes in at an application, and another source's trace is the application \
                 (as_functions): simulate the two apart"
            ));
        }
        let mut like = source;
        let Volume::Recorded(recorded) = std::mem::replace(&mut like.volume, Volume::PerSecond(0.0)) else {
            return Err(format!("[traffic.{name}] has as_functions and no trace"));
        };
        let places = recorded.series.len();
        let made = trace::application(&like, recorded, first);
        first += places;
        template.push_str(
            made.template.strip_prefix(if template.is_empty() { "" } else { "Resources:\n" }).unwrap_or(""),
        );
        workload.traffic.extend(made.traffic);
        workload.functions.extend(made.functions);
    }
    if workload.functions.len() > FUNCTIONS_MAX {
        let (there, most) = (workload.functions.len(), FUNCTIONS_MAX);
        return Err(format!(
            "the trace has {there} functions with events; an application has at most {most}"
        ));
    }
    if template.is_empty() {
        return Err("the trace has no events: there is nothing to simulate".into());
    }
    Ok(template)
}
