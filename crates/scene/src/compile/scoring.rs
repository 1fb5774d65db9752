//! How a policy scores: what narrows the catalogue down, what the score is, how it is explored, and the trained artifacts
//! behind it.

use super::{Compiler, Want};
use crate::cel::{Place, Scope, Ty};
use crate::fault::{Code, listed, nearest, shown};
use crate::node::{Key, Node};
use luopan_kernel::artifact::Artifact;
use luopan_kernel::features;
use luopan_kernel::plan::policy::{KEPT_MAX, LEARN_FROM_MAX, OBJECTIVES_MAX};
use luopan_kernel::plan::{
    ARTIFACTS_MAX, ArtifactKind, ArtifactPlan, Diversity, Exploration, Expr, FeaturePlan, KeepEach,
    LearnFrom, ModelScope, Objective, ObjectiveGroup, ObjectiveValue, Objectives, Ranking,
    RankingInput, Retrieval, Scorer, SlotId, SlotSource,
};
use luopan_kernel::value::ValueType;

/// The models that a scorer learns with.
pub(super) fn models_of(scorer: &Scorer) -> Vec<&str> {
    match scorer {
        Scorer::Expression(_) => Vec::new(),
        Scorer::Model(name) => vec![name],
        Scorer::Objectives(o) => (o.objectives.iter())
            .filter_map(|o| match &o.value {
                ObjectiveValue::Model(name) => Some(name.as_str()),
                ObjectiveValue::Expression(_) => None,
            })
            .collect(),
    }
}

impl Compiler<'_, '_> {
    pub(super) fn artifacts(&mut self) {
        for (key, node) in self.section("artifacts") {
            if self.plan.artifacts.len() == ARTIFACTS_MAX {
                self.report.at(
                    key.at,
                    Code::Limit,
                    "more artifacts than are kept",
                    format!("write at most {ARTIFACTS_MAX}"),
                );
                break;
            }
            if self.trained.to_train {
                // Named and not read: what is to be trained is not there yet.
                if let Some(kind) = kind_of(node) {
                    self.plan.artifacts.push(ArtifactPlan {
                        name: key.text.clone(),
                        kind,
                        sha256: String::new(),
                        model: model_of(node),
                    });
                }
                continue;
            }
            if let Some(artifact) = self.artifact(node) {
                self.plan.artifacts.push(ArtifactPlan {
                    name: key.text.clone(),
                    kind: artifact.kind(),
                    sha256: Artifact::hash(&artifact.encode()),
                    model: model_of(node),
                });
                self.artifacts.push(artifact);
            }
        }
    }

    fn artifact(&mut self, node: &Node) -> Option<Artifact> {
        if let Some(model) = node.get("model") {
            return self.registered(model, kind_of(node)?);
        }
        let file = node.get("file")?;
        let path = file.text()?;
        let kind = kind_of(node)?;
        let Some(bytes) = self.trained.files.get(path) else {
            let known: Vec<&str> = self.trained.files.keys().map(String::as_str).collect();
            let write = if known.is_empty() {
                "put the file into the pack's folder `artifacts`".to_owned()
            } else {
                format!("there are {}", listed(known.iter().copied()))
            };
            self.report.near(
                file.at,
                Code::UnknownName,
                format!("the pack has no file `{}`", shown(path)),
                write,
                nearest(path, known.iter().copied()),
            );
            return None;
        };
        match (self.trained.decode)(kind, bytes) {
            Ok(artifact) => Some(artifact),
            Err(why) => {
                self.report.at(
                    file.at,
                    Code::WrongType,
                    format!("`{}` cannot be read: {why}", shown(path)),
                    match kind {
                        ArtifactKind::Trees => {
                            "give LightGBM's text model, or trees of Luopan's own form"
                        }
                        ArtifactKind::Factors => "give factors of Luopan's own form",
                        ArtifactKind::Sequence => "give a model of sequences of Luopan's own form",
                    },
                );
                None
            }
        }
    }

    /// The version in force of the registered model that `node` names.
    fn registered(&mut self, node: &Node, kind: ArtifactKind) -> Option<Artifact> {
        let name = node.text()?;
        let Some(bytes) = self.trained.models.get(name) else {
            let known: Vec<&str> = self.trained.models.keys().map(String::as_str).collect();
            self.report.near(
                node.at,
                Code::UnknownName,
                format!("no version of a model `{}` is in force", shown(name)),
                match known.is_empty() {
                    true => "register it with `luopan model register`, and put it in force with `luopan model promote`".to_owned(),
                    false => format!("in force are {}", listed(known.iter().copied())),
                },
                nearest(name, known.iter().copied()),
            );
            return None;
        };
        match Artifact::decode(kind, bytes) {
            Ok(artifact) => Some(artifact),
            Err(why) => {
                self.report.at(
                    node.at,
                    Code::WrongType,
                    format!(
                        "the version in force of `{}` cannot be read: {why}",
                        shown(name)
                    ),
                    "write the kind that it was registered with",
                );
                None
            }
        }
    }

    /// The place of the artifact that `node` names and what it holds, which is none where artifacts are still to be trained;
    /// none, reported, when it is not there or of another kind.
    pub(super) fn artifact_of(
        &mut self,
        node: &Node,
        kind: ArtifactKind,
    ) -> Option<(u16, Option<Artifact>)> {
        let name = node.text()?;
        let Some(i) = self.plan.artifacts.iter().position(|a| a.name == name) else {
            // One that is declared and at fault was told of where it stands.
            if !self
                .section("artifacts")
                .iter()
                .any(|(k, _)| k.text == name)
            {
                self.unknown(node.at, "artifacts", "artifact", name);
            }
            return None;
        };
        let word = |kind| match kind {
            ArtifactKind::Trees => "trees",
            ArtifactKind::Factors => "factors",
            ArtifactKind::Sequence => "sequence",
        };
        if self.plan.artifacts[i].kind != kind {
            self.report.at(
                node.at,
                Code::WrongType,
                format!("`{}` is {}", shown(name), word(self.plan.artifacts[i].kind)),
                format!("name an artifact of kind `{}`", word(kind)),
            );
            return None;
        }
        Some((i as u16, self.artifacts.get(i).cloned()))
    }

    /// What scores of this policy may read: the stages that it has with everything of the item.
    pub(super) fn scored_scope(&self, catalogue: Option<u16>, policy: &Node) -> Scope<'static> {
        let mut scope = match catalogue {
            Some(c) => self.scope(Place::Scored(c)),
            None => self.item_scope(None),
        };
        for (stage, name) in [
            ("retrieval", "score.retrieved"),
            ("ranking", "score.ranked"),
        ] {
            if policy.get(stage).is_none() {
                scope.hide(name, &format!("this policy has no `{stage}`"));
            }
        }
        scope
    }

    pub(super) fn retrieval(&mut self, node: &Node, scope: &Scope<'_>) -> Option<Retrieval> {
        let found = (node.get("factors")).and_then(|n| self.artifact_of(n, ArtifactKind::Factors));
        let mut scope = scope.clone();
        for name in ["score.retrieved", "score.ranked"] {
            scope.hide(name, "retrieval comes before it");
        }
        let customers = self.scope(Place::Customer);
        let customer = self.plain_features(node, "customer", &customers, ModelScope::Shared);
        let item = self.plain_features(node, "item", &scope, ModelScope::Shared);
        if let (Some(item), Some(list)) = (&item, node.get("item")) {
            let mut read = Vec::new();
            item.iter().for_each(|f| slots_of(f, &mut read));
            let of_item = |id: &SlotId| {
                let slot = self.plan.slots.get(usize::from(id.0)).map(|s| &s.source);
                matches!(slot, Some(SlotSource::Item(..) | SlotSource::ItemKey(_)))
            };
            let differs = |id: &SlotId| {
                let slot = self.plan.slots.get(usize::from(id.0)).map(|s| &s.source);
                matches!(slot, Some(SlotSource::Paired(..)))
            };
            if read.iter().any(differs) {
                self.report.at(
                    list.at,
                    Code::Conflict,
                    "a derived attribute, which differs from customer to customer, among the features of the item",
                    "name attributes that are the same for everybody: an item has one vector",
                );
                return None;
            }
            if !read.iter().all(of_item) {
                self.report.at(
                    list.at,
                    Code::Conflict,
                    "a feature of the customer among those of the item",
                    "write it under `customer`",
                );
                return None;
            }
        }
        let each = node.get("each").map(|n| self.keep_each(n, &scope));
        let learn_from = self.learn_from(node);
        let (artifact, trained) = found?;
        let (customer, item) = (customer?, item?);
        let wanted = match &trained {
            None => None,
            Some(Artifact::Factors(f)) => Some((f.customer_positions(), f.attribute_positions())),
            Some(_) => return None,
        };
        for (list, wanted, what) in wanted.iter().flat_map(|(of_customer, of_item)| {
            [
                (&customer, *of_customer, "customer"),
                (&item, *of_item, "item"),
            ]
        }) {
            let found: usize = list.iter().map(features::width).sum();
            if found != wanted {
                self.report.at(
                    node.get(what).unwrap_or(node).at,
                    Code::OutOfRange,
                    format!("features of the {what} with {found} positions"),
                    format!("the factors have vectors for {wanted}: write the features that they were trained with"),
                );
                return None;
            }
        }
        Some(Retrieval {
            artifact,
            customer,
            item,
            keep: kept(node)?,
            each: match each {
                Some(each) => Some(each?),
                None => None,
            },
            learn_from: learn_from?,
        })
    }

    fn keep_each(&mut self, node: &Node, item: &Scope<'_>) -> Option<KeepEach> {
        Some(KeepEach {
            by: self.attribute_of(node.get("by")?, item)?,
            keep: u32::try_from(node.get("keep")?.integer()?).ok()?,
        })
    }

    /// What factors are trained from.
    fn learn_from(&mut self, node: &Node) -> Option<Vec<LearnFrom>> {
        let list = node.get("learn_from").map_or(&[][..], Node::elements);
        if list.len() > LEARN_FROM_MAX {
            self.report.at(
                node.get("learn_from").unwrap_or(node).at,
                Code::Limit,
                format!("{} kinds of events", list.len()),
                format!("write at most {LEARN_FROM_MAX}"),
            );
        }
        let mut out = Vec::new();
        let mut sound = true;
        for n in list {
            match self.learnt(n) {
                Some(learnt) => out.push(learnt),
                None => sound = false,
            }
        }
        sound.then_some(out)
    }

    fn learnt(&mut self, node: &Node) -> Option<LearnFrom> {
        let event = node.get("event").and_then(|n| self.event_index(n));
        let scope = self.event_scope(event);
        let filter = node
            .get("where")
            .map(|n| self.expression(n, &scope, Want::Condition));
        let event = event?;
        let schema = &self.plan.events[usize::from(event)];
        let item = match node.get("item") {
            Some(n) => self.field_index(event, n)?,
            None => match schema.field("item") {
                Some(i) => i as u16,
                None if self.declared.has_field(&schema.name, "item") => return None,
                None => {
                    let found = format!("`{}` has no field `item`", schema.name);
                    let write = "write `item: FIELD`, the field that holds the item's key";
                    self.report.at(node.at, Code::MissingKey, found, write);
                    return None;
                }
            },
        };
        let field = &self.plan.events[usize::from(event)].fields[usize::from(item)];
        if field.kind != ValueType::Text || field.personal {
            let found = format!("`{}` is {}", field.name, field.kind.word());
            self.report.at(
                node.get("item").unwrap_or(node).at,
                Code::WrongType,
                found,
                "the key of an item is text",
            );
            return None;
        }
        Some(LearnFrom {
            event,
            item,
            filter: match filter {
                None => None,
                Some(found) => Some(found?.expr),
            },
            weight: node.get("weight").map_or(Some(1.0), Node::number)?,
        })
    }

    /// Features without priors.
    fn plain_features(
        &mut self,
        node: &Node,
        list: &str,
        scope: &Scope<'_>,
        of: ModelScope,
    ) -> Option<Vec<FeaturePlan>> {
        let mut out = Vec::new();
        let mut sound = true;
        for n in node.get(list).map_or(&[][..], Node::elements) {
            if let Some(p) = n.get("prior_variance") {
                self.report.at(
                    p.at,
                    Code::Conflict,
                    "a prior of factors, which are not learned here",
                    "leave `prior_variance` out",
                );
            }
            match self.feature(n, scope, of) {
                Some(feature) => out.push(feature),
                None => sound = false,
            }
        }
        sound.then_some(out)
    }

    pub(super) fn ranking(&mut self, node: &Node, scope: &Scope<'_>) -> Option<Ranking> {
        let found = (node.get("trees")).and_then(|n| self.artifact_of(n, ArtifactKind::Trees));
        let mut scope = scope.clone();
        scope.hide("score.ranked", "it is what the trees give");
        let (artifact, trained) = found?;
        let Some(Artifact::Trees(trees)) = trained else {
            return None;
        };
        if trees.outputs() != 1 {
            self.report.at(
                node.get("trees")?.at,
                Code::Conflict,
                format!("trees of {} outputs", trees.outputs()),
                "rank by trees of one output",
            );
            return None;
        }
        let written = node.get("inputs").map_or(&[][..], Node::entries);
        let names = trees.feature_names();
        for (key, _) in written {
            if !names.contains(&key.text) {
                self.report.near(
                    key.at,
                    Code::UnknownName,
                    format!("the trees have no feature `{}`", shown(&key.text)),
                    format!("they have {}", listed(names.iter().map(String::as_str))),
                    nearest(&key.text, names.iter().map(String::as_str)),
                );
            }
        }
        let mut inputs = Vec::with_capacity(names.len());
        for name in names {
            let own = written.iter().find(|(k, _)| k.text == *name);
            inputs.push(match own {
                Some((_, input)) => self.input(input, &scope),
                None => match scope.get(name) {
                    Some((slot, ty)) if *ty != Ty::Text => Some(RankingInput::Number(*slot)),
                    _ => {
                        self.report.at(
                            node.at,
                            Code::MissingKey,
                            format!("the trees read `{}`, which is no tag or attribute that holds a number", shown(name)),
                            "say under `inputs` what it is: a tag, an attribute, or `{of: NAME, categories: [...]}` for a text",
                        );
                        None
                    }
                },
            });
        }
        Some(Ranking {
            artifact,
            inputs: inputs.into_iter().collect::<Option<_>>()?,
            keep: kept(node)?,
        })
    }

    fn input(&mut self, node: &Node, scope: &Scope<'_>) -> Option<RankingInput> {
        let of = node.get("of").unwrap_or(node);
        let typed = self.expression(of, scope, Want::Anything)?;
        let Expr::Slot(slot) = typed.expr else {
            self.report.at(
                of.at,
                Code::WrongType,
                format!(
                    "`{}` is an expression",
                    shown(of.scalar().unwrap_or_default())
                ),
                "name a tag or an attribute; give the expression a name under `derived`",
            );
            return None;
        };
        match (node.get("categories"), typed.ty) {
            (Some(list), Ty::Text | Ty::Integer | Ty::Boolean) => Some(RankingInput::Category {
                slot,
                categories: (list.elements().iter().filter_map(Node::scalar))
                    .map(str::to_owned)
                    .collect(),
            }),
            (None, ty) if ty != Ty::Text => Some(RankingInput::Number(slot)),
            (None, _) => {
                self.report.at(
                    of.at,
                    Code::MissingKey,
                    format!("`{}` is text", shown(of.scalar().unwrap_or_default())),
                    "write `{of: NAME, categories: [...]}`, in the order that the trees were trained with",
                );
                None
            }
            (Some(list), ty) => {
                self.report.at(
                    list.at,
                    Code::WrongType,
                    format!("categories of {}", ty.word()),
                    "leave `categories` out: it is read as a number",
                );
                None
            }
        }
    }

    pub(super) fn scorer(
        &mut self,
        node: &Node,
        catalogue: Option<u16>,
        scope: &Scope<'_>,
    ) -> Option<Scorer> {
        let score = node.get("score")?;
        if let Some(model) = score.get("model") {
            return self.scoring_model(model, catalogue).map(Scorer::Model);
        }
        if let Some(list) = score.get("objectives") {
            return self.objectives(score, list, catalogue, scope);
        }
        self.expression(score, scope, Want::Figure)
            .map(|t| Scorer::Expression(t.expr))
    }

    fn scoring_model(&mut self, model: &Node, catalogue: Option<u16>) -> Option<String> {
        let name = model.text()?;
        let section = self.section("models");
        let names: Vec<&str> = section.iter().map(|(k, _)| k.text.as_str()).collect();
        if !names.contains(&name) {
            self.unknown(model.at, "models", "model", name);
            return None;
        }
        if let (Some(c), Some(plan)) = (catalogue, self.plan.models.iter().find(|m| m.name == name))
            && plan.catalogue != c
        {
            let scored = self.plan.catalogues[usize::from(plan.catalogue)]
                .name
                .clone();
            let own = self.plan.catalogues[usize::from(c)].name.clone();
            self.report.at(
                model.at,
                Code::Conflict,
                format!("`{name}` scores items of `{scored}`, and the policy chooses from `{own}`"),
                "let both name one catalogue",
            );
        }
        Some(name.to_owned())
    }

    fn objectives(
        &mut self,
        score: &Node,
        list: &Node,
        catalogue: Option<u16>,
        scope: &Scope<'_>,
    ) -> Option<Scorer> {
        if list.entries().len() > OBJECTIVES_MAX {
            self.report.at(
                list.at,
                Code::Limit,
                format!("{} objectives", list.entries().len()),
                format!("write at most {OBJECTIVES_MAX}"),
            );
        }
        let mut objectives = Vec::new();
        let mut sound = true;
        for (key, node) in list.entries() {
            let value = match (node.get("model"), node.get("value")) {
                (Some(model), _) => self
                    .scoring_model(model, catalogue)
                    .map(ObjectiveValue::Model),
                (None, Some(value)) => (self.expression(value, scope, Want::Figure))
                    .map(|t| ObjectiveValue::Expression(t.expr)),
                (None, None) => None,
            };
            match value {
                Some(value) => objectives.push(Objective {
                    name: key.text.clone(),
                    value,
                    weight: node.get("weight").map_or(Some(1.0), Node::number)?,
                    floor: node.get("floor").and_then(Node::number),
                }),
                None => sound = false,
            }
        }
        let names: Vec<&str> = list
            .entries()
            .iter()
            .map(|(k, _)| k.text.as_str())
            .collect();
        let customers = self.scope(Place::Customer);
        let mut groups = Vec::new();
        for group in score.get("groups").map_or(&[][..], Node::elements) {
            let figure = |list: &str, name: &str| group.get(list)?.get(name)?.number();
            for list in ["weights", "floors"] {
                for (key, _) in group.get(list).map_or(&[][..], Node::entries) {
                    self.objective_named(key, &names);
                }
            }
            let name = group.get("name").and_then(Node::text).unwrap_or_default();
            match self.rule(name, group, &customers) {
                Some(rule) => groups.push(ObjectiveGroup {
                    weights: (objectives.iter())
                        .map(|o| figure("weights", &o.name).unwrap_or(o.weight))
                        .collect(),
                    floors: (objectives.iter())
                        .map(|o| figure("floors", &o.name).or(o.floor))
                        .collect(),
                    rule,
                }),
                None => sound = false,
            }
        }
        let models = || {
            let of_model = |o: &&Objective| matches!(o.value, ObjectiveValue::Model(_));
            objectives.iter().filter(of_model).map(|o| o.name.as_str())
        };
        let explored = match score.get("explore") {
            Some(node) => {
                let name = node.text()?;
                if sound && !models().any(|m| m == name) {
                    self.report.near(
                        node.at,
                        Code::UnknownName,
                        format!("`{}` is no objective of a model", shown(name)),
                        format!("there are {}", listed(models())),
                        nearest(name, models()),
                    );
                }
                Some(name)
            }
            // Where there is one model alone it is the one.
            None if models().count() == 1 => models().next(),
            None => None,
        };
        let explored = explored.and_then(|name| objectives.iter().position(|o| o.name == name));
        sound.then_some(Scorer::Objectives(Objectives {
            objectives,
            groups,
            explored: explored.map(|i| i as u16),
        }))
    }

    fn objective_named(&mut self, key: &Key, names: &[&str]) {
        if !names.contains(&key.text.as_str()) {
            self.report.near(
                key.at,
                Code::UnknownName,
                format!("there is no objective `{}`", shown(&key.text)),
                format!("there are {}", listed(names.iter().copied())),
                nearest(&key.text, names.iter().copied()),
            );
        }
    }

    /// Reports an explorer of uncertainty where nothing is uncertain.
    pub(super) fn explorable(
        &mut self,
        node: &Node,
        scorer: Option<&Scorer>,
        exploration: Option<&Exploration>,
    ) {
        let (Some(scorer), Some(exploration), Some(n)) =
            (scorer, exploration, node.get("exploration"))
        else {
            return;
        };
        let word = match exploration {
            Exploration::Thompson { .. } => "thompson",
            Exploration::LinUcb { .. } => "linucb",
            Exploration::Bootstrap { .. } => "bootstrap",
            _ => return,
        };
        match scorer {
            Scorer::Expression(_) => self.report.at(
                n.at,
                Code::Conflict,
                format!("{word} exploration of an expression, which has no posterior to draw from"),
                "write `score: {model: NAME}`, or explore with `epsilon_greedy` or `softmax`",
            ),
            Scorer::Objectives(o) if o.explored.is_none() => self.report.at(
                n.at,
                Code::Conflict,
                format!("{word} exploration of objectives, and it is not said of which"),
                "write `explore: NAME` beside `objectives`, the name of one that a model predicts",
            ),
            Scorer::Model(_) | Scorer::Objectives(_) => {
                let explored = match scorer {
                    Scorer::Model(name) => Some(name),
                    Scorer::Objectives(o) => (o.explored)
                        .and_then(|i| o.objectives.get(usize::from(i)))
                        .and_then(|o| match &o.value {
                            ObjectiveValue::Model(name) => Some(name),
                            ObjectiveValue::Expression(_) => None,
                        }),
                    Scorer::Expression(_) => None,
                };
                let model = (self.plan.models.iter()).find(|m| explored == Some(&m.name));
                if let Some(model) = model
                    && matches!(exploration, Exploration::Bootstrap { .. })
                    && model.replicates == 0
                {
                    let name = model.name.clone();
                    self.report.at(
                        n.at,
                        Code::Conflict,
                        format!("bootstrap exploration, and the model `{name}` has no replicates"),
                        format!("write `replicates: 20` at `{name}`"),
                    );
                }
            }
        }
    }

    pub(super) fn diversity(&mut self, node: &Node, item: &Scope<'_>) -> Option<Diversity> {
        Some(Diversity {
            by: self.attribute_of(node.get("by")?, item)?,
            at_most: (node.get("at_most")).map_or(Some(1), |n| u32::try_from(n.integer()?).ok())?,
        })
    }

    /// The attribute of the item that `by` names, by whose value items are alike.
    fn attribute_of(&mut self, by: &Node, item: &Scope<'_>) -> Option<SlotId> {
        let typed = self.expression(by, item, Want::Anything)?;
        let slot = match typed.expr {
            Expr::Slot(slot) => self
                .plan
                .slots
                .get(usize::from(slot.0))
                .map(|s| (slot, &s.source)),
            _ => None,
        };
        let differs = matches!(slot, Some((_, SlotSource::Paired(..))));
        let Some((slot, SlotSource::Item(..))) = slot else {
            self.report.at(
                by.at,
                Code::WrongType,
                format!(
                    "`{}` {}",
                    shown(by.scalar().unwrap_or_default()),
                    match differs {
                        true => "is derived, and differs from customer to customer",
                        false => "is no attribute of the item",
                    }
                ),
                "name one, such as `item.kind`",
            );
            return None;
        };
        Some(slot)
    }

    pub(super) fn exploration(&mut self, node: &Node) -> Option<Exploration> {
        match node.text() {
            Some("greedy") => return Some(Exploration::Greedy),
            Some("uniform") => return Some(Exploration::Uniform),
            _ => {}
        }
        if let Some(n) = node.get("epsilon_greedy") {
            return Some(Exploration::EpsilonGreedy {
                epsilon: n.number()?,
            });
        }
        if let Some(n) = node.get("softmax") {
            return Some(Exploration::Softmax {
                temperature: n.number()?,
            });
        }
        if let Some(n) = node.get("linucb") {
            return Some(Exploration::LinUcb {
                alpha: n.get("alpha").map_or(Some(1.0), Node::number)?,
                floor: n.get("floor").map_or(Some(0.01), Node::number)?,
            });
        }
        if let Some(n) = node.get("bootstrap") {
            return Some(Exploration::Bootstrap {
                floor: n.get("floor").map_or(Some(0.01), Node::number)?,
            });
        }
        if let Some(n) = node.get("squarecb") {
            return Some(Exploration::SquareCb { gamma: n.number()? });
        }
        let n = node.get("thompson")?;
        Some(Exploration::Thompson {
            draws: n
                .get("draws")
                .map_or(Some(100), Node::integer)
                .and_then(|v| u32::try_from(v).ok())?,
            floor: n.get("floor").map_or(Some(0.01), Node::number)?,
            scale: n.get("scale").map_or(Some(1.0), Node::number)?,
        })
    }
}

fn model_of(artifact: &Node) -> Option<String> {
    artifact.get("model")?.text().map(str::to_owned)
}

fn kind_of(artifact: &Node) -> Option<ArtifactKind> {
    match artifact.get("kind")?.text()? {
        "trees" => Some(ArtifactKind::Trees),
        "factors" => Some(ArtifactKind::Factors),
        "sequence" => Some(ArtifactKind::Sequence),
        _ => None,
    }
}

fn kept(node: &Node) -> Option<u32> {
    u32::try_from(node.get("keep")?.integer()?)
        .ok()
        .filter(|k| (1..=KEPT_MAX).contains(k))
}

fn slots_of(feature: &FeaturePlan, out: &mut Vec<SlotId>) {
    match feature {
        FeaturePlan::Intercept => {}
        FeaturePlan::Standard { slot, .. }
        | FeaturePlan::OneHot { slot, .. }
        | FeaturePlan::Bins { slot, .. } => out.push(*slot),
        FeaturePlan::Cross { left, right } => {
            slots_of(left, out);
            slots_of(right, out);
        }
    }
}
