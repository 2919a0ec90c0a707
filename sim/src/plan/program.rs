//! A function's steps, with names resolved, in blocks that a run walks through.

use flyball_app::workload::{Act, AddOf, Lasting, Retry, Step};
use flyball_core::{Name, Span};

use super::{DependencyNo, Names, Problem};
use crate::{
    lasting::Sampler,
    message::{FunctionNo, NodeNo},
};

/// Steps in one function, those within parallel ones counted too.
pub(crate) const STEPS_MAX: usize = 1_000;

/// A block's place in its program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockNo(pub u32);

/// What a run does.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// The first is the run's own.
    blocks: Vec<Vec<Op>>,
    /// What the run takes beyond its steps, as it was stated or assumed: the first step is drawn from it.
    duration: Option<Lasting>,
    /// There is nothing but computing, once for the run: its end can be told at its beginning.
    pub plain: bool,
    /// Something leaves with its outcome: events, or key-value data.
    pub leaves: bool,
}

/// One step.
#[derive(Debug, Clone)]
pub(crate) struct Op {
    pub act: OpAct,
    /// 0 to 1.
    pub chance: f64,
}

#[derive(Debug, Clone)]
pub(crate) enum OpAct {
    Compute(Sampler),
    Call(CallOp),
    Emit(EmitOp),
    /// Blocks side by side.
    Parallel(Vec<BlockNo>),
    /// A block for each item, one after the other.
    Each(BlockNo),
    /// One more in a value of a namespace.
    Add(Name, AddOf),
}

/// Whom a call goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Callee {
    Dependency(DependencyNo),
    Function(FunctionNo),
}

#[derive(Debug, Clone)]
pub(crate) struct CallOp {
    pub to: Callee,
    pub times: u32,
    pub timeout: Option<Span>,
    pub retry: Retry,
    pub keyed: bool,
    pub optional: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct EmitOp {
    pub to: EmitTo,
    pub count: u32,
    pub event_bytes: Option<u64>,
    pub delay: Span,
}

/// Where emitted events go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EmitTo {
    /// A part of the plan.
    Node(NodeNo),
    /// A queue, topic or bus of Flyball's engine.
    Target(String),
}

impl Program {
    /// The steps of one function, after what each run and each item takes by itself.
    pub(crate) fn new(
        function: &str,
        duration: Option<&Lasting>,
        per_item: Option<&Lasting>,
        steps: &[Step],
        names: &Names,
        problems: &mut Vec<Problem>,
    ) -> Program {
        let mut program =
            Program { blocks: vec![Vec::new()], duration: duration.cloned(), plain: false, leaves: false };
        let mut all = Vec::new();
        let compute =
            |lasting: &Lasting, per_item| Step { act: Act::Compute(lasting.clone()), per_item, chance: 1.0 };
        all.extend(duration.map(|lasting| compute(lasting, false)));
        all.extend(per_item.map(|lasting| compute(lasting, true)));
        all.extend_from_slice(steps);
        let mut maker = Maker { function, names, problems, left: STEPS_MAX };
        let ops = maker.block(&all, &mut program);
        program.plain = ops.iter().all(|op| matches!(op.act, OpAct::Compute(_)));
        if let Some(first) = program.blocks.first_mut() {
            *first = ops;
        }
        let leaves = |op: &Op| match &op.act {
            OpAct::Emit(emit) => matches!(emit.to, EmitTo::Target(_)),
            OpAct::Add(..) => true,
            _ => false,
        };
        let any = program.ops().any(leaves);
        program.leaves = any;
        program
    }

    /// A step. `None`: the block ends before.
    pub(crate) fn op(&self, block: BlockNo, at: u32) -> Option<&Op> {
        self.blocks.get(block.0 as usize).and_then(|ops| ops.get(at as usize))
    }

    /// The run's own block.
    pub(crate) fn first(&self) -> &[Op] {
        self.blocks.first().map_or(&[], Vec::as_slice)
    }

    /// What the run takes beyond its steps becomes so many times as long: in words. `None`: there is no such thing.
    pub(crate) fn scale_first(&mut self, factor: f64) -> Option<String> {
        let duration = super::scaled(self.duration.as_ref()?, factor);
        let first = self.blocks.first_mut()?.first_mut()?;
        first.act = OpAct::Compute(Sampler::new(&duration));
        let words = super::gather::words(&duration);
        self.duration = Some(duration);
        Some(words)
    }

    /// Namespaces that steps add to.
    pub(crate) fn namespaces(&self) -> impl Iterator<Item = String> {
        self.ops().filter_map(|op| match &op.act {
            OpAct::Add(namespace, _) => Some(namespace.to_string()),
            _ => None,
        })
    }

    /// Every step, in whichever block.
    pub(crate) fn ops(&self) -> impl Iterator<Item = &Op> {
        self.blocks.iter().flatten()
    }
}

struct Maker<'a> {
    function: &'a str,
    names: &'a Names,
    problems: &'a mut Vec<Problem>,
    left: usize,
}

impl Maker<'_> {
    /// Neighbours that are done for each item are done together for one item before the next begins.
    fn block(&mut self, steps: &[Step], program: &mut Program) -> Vec<Op> {
        let mut ops = Vec::new();
        let mut rest = steps;
        while let Some(first) = rest.first() {
            let alike = rest.iter().take_while(|step| step.per_item == first.per_item).count().max(1);
            let (now, later) = rest.split_at(alike.min(rest.len()));
            rest = later;
            let made: Vec<Op> = now.iter().filter_map(|step| self.op(step, program)).collect();
            if first.per_item {
                let block = add(program, made);
                ops.push(Op { act: OpAct::Each(block), chance: 1.0 });
            } else {
                ops.extend(made);
            }
        }
        ops
    }

    fn op(&mut self, step: &Step, program: &mut Program) -> Option<Op> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if self.left == 0 {
            let what = format!("{} has more than {STEPS_MAX} steps", self.function);
            self.problems.push(Problem { what, help: "sum up steps that belong together".into() });
            return None;
        }
        let act = match &step.act {
            Act::Compute(lasting) => OpAct::Compute(Sampler::new(lasting)),
            Act::Call(call) => OpAct::Call(CallOp {
                to: self.names.callee(&call.to, self.function, self.problems)?,
                times: call.times,
                timeout: call.timeout,
                retry: call.retry,
                keyed: call.keyed,
                optional: call.optional,
            }),
            Act::Emit(emit) => OpAct::Emit(EmitOp {
                to: self.names.target(&emit.to, self.function, self.problems)?,
                count: emit.count,
                event_bytes: emit.event_bytes,
                delay: emit.delay,
            }),
            Act::Add(add) => OpAct::Add(add.to.clone(), add.of),
            Act::Parallel(steps) => {
                let mut blocks = Vec::new();
                for step in steps {
                    let ops = self.op(step, program).into_iter().collect();
                    blocks.push(add(program, ops));
                }
                OpAct::Parallel(blocks)
            }
        };
        Some(Op { act, chance: step.chance })
    }
}

fn add(program: &mut Program, ops: Vec<Op>) -> BlockNo {
    program.blocks.push(ops);
    // At most as many as there are steps.
    BlockNo((program.blocks.len() - 1) as u32)
}
