//! The same rules for Cedar, casbin and regorus, each as its own documentation has it: what can be read, parsed or compiled
//! beforehand is, and so are the requests.

use std::collections::HashSet;
use std::fmt::Write as _;

use casbin::function_map::OperatorFunction;
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, Enforcer, StringAdapter};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::RegoVM;
use regorus::{Engine, Value};

use crate::{ASKERS, Ask, Rule, SIGNALS, cell, path};

/// An engine with its rules and its requests.
pub(crate) trait Peer {
    fn name(&self) -> &'static str;
    /// Whether the request at this place is allowed.
    fn allows(&mut self, at: usize) -> bool;
}

pub(crate) fn all(rules: &[Rule], asks: &[Ask]) -> Vec<Box<dyn Peer>> {
    vec![
        Box::new(Cedar::new(rules, asks)),
        Box::new(Casbin::new(rules, asks)),
        Box::new(Regorus::new(rules, asks)),
    ]
}

/// Roles and cells are ancestors of parties and signals; values are whole numbers of thousandths, Cedar's cheapest kind.
struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    entities: Entities,
    requests: Vec<Request>,
}

impl Cedar {
    fn new(rules: &[Rule], asks: &[Ask]) -> Self {
        let uid = |kind: &str, id: String| {
            EntityUid::from_type_name_and_id(kind.parse::<EntityTypeName>().unwrap(), EntityId::new(id))
        };
        let mut text = String::new();
        for rule in rules {
            writeln!(
                text,
                "{}(principal in Role::\"role{}\", action == Action::\"write\", resource in Cell::\"cell{}\")\n\
                 when {{ context.value >= {} && context.value <= {} }};",
                if rule.allow { "permit" } else { "forbid" },
                rule.role,
                rule.cell,
                rule.low,
                rule.high
            )
            .unwrap();
        }
        let parties = ASKERS.iter().map(|(name, role)| {
            let roles: HashSet<_> = role.iter().map(|role| uid("Role", format!("role{role}"))).collect();
            Entity::new_no_attrs(uid("Party", (*name).to_owned()), roles)
        });
        let signals = (0..SIGNALS).map(|signal| {
            let cell = uid("Cell", format!("cell{}", cell(signal)));
            Entity::new_no_attrs(uid("Signal", path(signal)), HashSet::from([cell]))
        });
        let requests = asks.iter().map(|ask| {
            let value = RestrictedExpression::new_long(i64::from(ask.thousandths));
            let context = Context::from_pairs([("value".to_owned(), value)]).unwrap();
            let (who, what) = (uid("Party", ASKERS[ask.asker].0.to_owned()), uid("Signal", path(ask.signal)));
            Request::new(who, uid("Action", "write".to_owned()), what, context, None).unwrap()
        });
        Self {
            authorizer: Authorizer::new(),
            policies: text.parse().unwrap(),
            entities: Entities::from_entities(parties.chain(signals), None).unwrap(),
            requests: requests.collect(),
        }
    }
}

impl Peer for Cedar {
    fn name(&self) -> &'static str {
        "cedar-policy"
    }

    fn allows(&mut self, at: usize) -> bool {
        let response = self.authorizer.is_authorized(&self.requests[at], &self.policies, &self.entities);
        response.decision() == Decision::Allow
    }
}

/// Roles with deny-override; what is cheapest and decides most often comes first in the matcher.
struct Casbin {
    enforcer: Enforcer,
    requests: Vec<[Dynamic; 4]>,
}

const MODEL: &str = "
[request_definition]
r = sub, obj, act, val
[policy_definition]
p = sub, obj, act, low, high, eft
[role_definition]
g = _, _
[policy_effect]
e = some(where (p.eft == allow)) && !some(where (p.eft == deny))
[matchers]
m = r.act == p.act && keyMatch(r.obj, p.obj) && within(r.val, p.low, p.high) && g(r.sub, p.sub)
";

impl Casbin {
    fn new(rules: &[Rule], asks: &[Ask]) -> Self {
        let mut text = String::new();
        for rule in rules {
            let effect = if rule.allow { "allow" } else { "deny" };
            writeln!(
                text,
                "p, role{}, cell{}.*, write, {}, {}, {effect}",
                rule.role, rule.cell, rule.low, rule.high
            )
            .unwrap();
        }
        for (name, role) in ASKERS {
            if let Some(role) = role {
                writeln!(text, "g, {name}, role{role}").unwrap();
            }
        }
        let made = async {
            let model = DefaultModel::from_str(MODEL).await.unwrap();
            Enforcer::new(model, StringAdapter::new(text)).await.unwrap()
        };
        let mut enforcer = tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(made);
        // What stands in a policy is text for casbin.
        let within = |value: Dynamic, low: Dynamic, high: Dynamic| {
            let number = |text: Dynamic| text.into_immutable_string().unwrap().parse::<i32>().unwrap();
            let value = value.as_int().unwrap();
            (number(low) <= value && value <= number(high)).into()
        };
        enforcer.add_function("within", OperatorFunction::Arg3(within));
        let requests = asks.iter().map(|ask| {
            let (name, signal) = (ASKERS[ask.asker].0.to_owned(), path(ask.signal));
            [name.into(), signal.into(), "write".to_owned().into(), ask.thousandths.into()]
        });
        Self { enforcer, requests: requests.collect() }
    }
}

impl Peer for Casbin {
    fn name(&self) -> &'static str {
        "casbin"
    }

    fn allows(&mut self, at: usize) -> bool {
        let [sub, obj, act, val] = self.requests[at].clone();
        self.enforcer.enforce((sub, obj, act, val)).unwrap()
    }
}

/// Rules as data below their role and cell, as the Rego guides advise: what is looked at is what could hold. That index is made by
/// hand, for this one form of rule.
struct Regorus {
    machine: RegoVM,
    requests: Vec<Value>,
}

const REGO: &str = "
package gate
default allow := false
allow if {
    holds(data.permits)
    not holds(data.forbids)
}
holds(rules) if {
    some role in data.parties[input.who]
    some rule in rules[role][data.cells[input.signal]]
    rule.low <= input.value
    input.value <= rule.high
}
";

impl Regorus {
    fn new(rules: &[Rule], asks: &[Ask]) -> Self {
        use serde_json::{Map, json};
        let below = |allow: bool| {
            let mut roles = Map::new();
            for rule in rules.iter().filter(|rule| rule.allow == allow) {
                let cells = roles.entry(format!("role{}", rule.role)).or_insert_with(|| json!({}));
                let cells = cells.as_object_mut().unwrap();
                let list = cells.entry(format!("cell{}", rule.cell)).or_insert_with(|| json!([]));
                list.as_array_mut().unwrap().push(json!({ "low": rule.low, "high": rule.high }));
            }
            roles
        };
        let cells: Map<_, _> =
            (0..SIGNALS).map(|signal| (path(signal), json!(format!("cell{}", cell(signal))))).collect();
        let parties: Map<_, _> = ASKERS
            .iter()
            .map(|(name, role)| {
                let roles: Vec<_> = role.iter().map(|role| format!("role{role}")).collect();
                ((*name).to_owned(), json!(roles))
            })
            .collect();
        let data =
            json!({ "permits": below(true), "forbids": below(false), "cells": cells, "parties": parties });
        let read = |json: serde_json::Value| Value::from_json_str(&json.to_string()).unwrap();
        let mut engine = Engine::new();
        engine.add_policy("gate.rego".to_owned(), REGO.to_owned()).unwrap();
        let policy = engine.compile_with_entrypoint(&"data.gate.allow".into()).unwrap();
        let mut machine = RegoVM::new();
        machine.load_program(Compiler::compile_from_policy(&policy, &["data.gate.allow"]).unwrap());
        machine.set_data(read(data)).unwrap();
        let requests = asks.iter().map(|ask| {
            read(json!({ "who": ASKERS[ask.asker].0, "signal": path(ask.signal), "value": ask.thousandths }))
        });
        Self { machine, requests: requests.collect() }
    }
}

impl Peer for Regorus {
    fn name(&self) -> &'static str {
        "regorus"
    }

    fn allows(&mut self, at: usize) -> bool {
        self.machine.set_input(self.requests[at].clone());
        self.machine.execute().unwrap() == Value::from(true)
    }
}
