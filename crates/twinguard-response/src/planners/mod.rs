//! One planner per file.

pub(crate) mod always_isolate;
pub(crate) mod do_nothing;
pub(crate) mod dynamic_programming;
pub(crate) mod fitted_q;
pub(crate) mod margin_aware;
pub(crate) mod naive_playbook;
pub(crate) mod predictive;
pub(crate) mod random;
pub(crate) mod tabular_q;
pub(crate) mod threshold_playbook;

pub use always_isolate::AlwaysIsolate;
pub use do_nothing::DoNothing;
pub use dynamic_programming::DynamicProgramming;
pub use fitted_q::FittedQ;
pub use margin_aware::MarginAware;
pub use naive_playbook::NaivePlaybook;
pub use predictive::Predictive;
pub use random::Random;
pub use tabular_q::TabularQ;
pub use threshold_playbook::ThresholdPlaybook;
