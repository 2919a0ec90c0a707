//! CloudFormation: `aws cloudformation list-stack-resources` or `describe-stack-resources`.

use serde::Deserialize;

use super::{Observed, json};
use crate::Diagnostics;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    #[serde(alias = "StackResources")]
    stack_resource_summaries: Vec<Resource>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Resource {
    logical_resource_id: String,
    #[serde(default)]
    physical_resource_id: String,
}

impl Observed {
    /// Takes an answer of `aws cloudformation list-stack-resources`: from here on deployed names of the other exports
    /// become logical ids.
    ///
    /// # Errors
    /// Where it is none, or was cut off.
    pub fn names(&mut self, file: &str, text: &str) -> Result<(), Diagnostics> {
        let what = "it is what `aws cloudformation list-stack-resources` answers";
        let answers: Vec<Answer> = json::answers(file, text, what)?;
        let resources: Vec<Resource> =
            answers.into_iter().flat_map(|answer| answer.stack_resource_summaries).collect();
        self.files.push(format!("{file}: {} resources of a stack", resources.len()));
        for resource in resources {
            // A queue's id is its address, a topic's its ARN: the name is the last part of both.
            let id = &resource.physical_resource_id;
            let last = id.rsplit(['/', ':']).next().unwrap_or(id).to_string();
            if !last.is_empty() {
                self.names.insert(last, resource.logical_resource_id);
            }
        }
        Ok(())
    }
}
