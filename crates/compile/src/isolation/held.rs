//! Callers of a namespace whom policies hold: what says so at whoever is called, by the rules that are about it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use leno_model::view::{At, Egress, Leave, Peers};
use leno_model::{Namespace, Origin, Ports};

use super::Policy;
use super::egress::Rule;
use super::peers::Callers;
use crate::workloads::Workload;

/// Those of one namespace.
pub(super) struct Held<'a> {
    /// Where each policy says whom it selects.
    policies: Vec<Origin>,
    /// The policies that select everybody: also who is new, and not known yet to those who are called.
    whole: Places,
    /// All rules, with the places of their policies.
    rules: Vec<(usize, Rule<'a>)>,
    /// Where they let out to whoever is called.
    everywhere: Ways,
    crowd: Vec<Group>,
    /// Of whose accounts others act, too. Who does from nobody knows where is taken for one of either, and so nothing
    /// that is said of one of them may take the place of what is said of all.
    alone: Vec<Group>,
    /// Those of the crowd whom a policy selects.
    selected: BTreeMap<usize, Places>,
    /// The crowd, where no rule is about who is called by more than that.
    usual: Vec<Class>,
    /// Whom the largest class stands for, where all others are told of before.
    all: Arc<Peers>,
    /// Whoever is known by nothing but the namespace.
    others: Class,
    told: BTreeMap<Vec<Way>, Vec<Arc<Egress>>>,
    told_alone: BTreeMap<(usize, Vec<Leave>), Arc<Egress>>,
}

type Places = BTreeSet<usize>;

/// A rule, by its place, and the ports of who is called to which it lets out.
pub(super) type Way = (usize, Vec<Ports>);

/// What the rules of policies let out to, by the places of the policies.
type Ways = BTreeMap<usize, Vec<Leave>>;

/// Callers whom the same policies select.
struct Group {
    /// Without those that select everybody.
    policies: Places,
    callers: Arc<Peers>,
}

/// Groups that are let out to the same ports.
#[derive(Default)]
struct Class {
    callers: Arc<Peers>,
    /// The policies that select all of them, without those that select everybody; an example, if none does.
    by: Places,
    have_others: bool,
    /// What lets them out, beside what lets out everybody.
    rules: Vec<Leave>,
}

/// What lets callers out to a workload.
struct Here<'h> {
    everywhere: &'h Ways,
    about: Ways,
}

impl<'a> Held<'a> {
    /// The callers of a namespace that has these policies. Whom none selects goes where it will.
    pub(super) fn new(
        namespace: &Namespace,
        policies: Vec<Policy<'a, Rule<'a>>>,
        callers: &mut Callers<'_>,
    ) -> Self {
        let whole = places(&policies, Policy::selects_all);
        let mut groups = BTreeMap::<Places, Vec<&Workload<'_>>>::new();
        for workload in callers.within(namespace).iter().copied() {
            let selecting = &places(&policies, |it| it.selects(workload)) - &whole;
            groups.entry(selecting).or_default().push(workload);
        }
        let is_anybody_free = whole.is_empty() && groups.remove(&Places::new()).is_some();
        let groups = groups.into_iter().map(|(policies, workloads)| Group {
            policies,
            callers: Arc::new(callers.only(&workloads)),
        });
        let (alone, crowd) = groups.partition(Group::stands_alone);
        let mut held = Self {
            policies: policies.iter().map(Policy::selecting).collect(),
            whole,
            rules: Vec::new(),
            everywhere: Ways::new(),
            crowd,
            alone,
            selected: BTreeMap::new(),
            usual: Vec::new(),
            all: Arc::default(),
            others: Class {
                callers: Arc::new(Peers::of_namespace(namespace.clone())),
                ..Class::default()
            },
            told: BTreeMap::new(),
            told_alone: BTreeMap::new(),
        };
        for (place, policy) in policies.into_iter().enumerate() {
            let rules = policy.rules.into_iter().map(|rule| (place, rule));
            held.rules.extend(rules);
        }
        held.sort(is_anybody_free);
        held
    }

    /// Tells the crowd apart by the rules about everybody.
    fn sort(&mut self, is_anybody_free: bool) {
        for (place, group) in self.crowd.iter().enumerate() {
            for policy in &group.policies {
                self.selected.entry(*policy).or_default().insert(place);
            }
        }
        let about_all = self.rules.iter().filter_map(|(policy, rule)| {
            let ports = rule.of_everybody()?;
            Some((*policy, rule.leave(ports.clone())))
        });
        self.everywhere = by_policy(about_all);
        // Who is new is as most are, unless policies say what holds whoever is new.
        self.all = match self.whole.is_empty() && !is_anybody_free {
            true => self.others.callers.clone(),
            false => Arc::new(Peers::any_of(self.crowd.iter().map(|it| &*it.callers))),
        };
        self.usual = self.sorted(&Here::unnamed(&self.everywhere));
    }

    /// The rules that let them out.
    pub(super) fn rules(&self) -> impl Iterator<Item = &Rule<'a>> {
        self.rules.iter().map(|(_, rule)| rule)
    }

    pub(super) fn rule(&self, place: usize) -> Option<&Rule<'a>> {
        self.rules.get(place).map(|(_, rule)| rule)
    }

    /// What holds them at a workload about which just these rules are, beside those about whoever is called.
    pub(super) fn at(&mut self, about: Vec<Way>) -> &[Arc<Egress>] {
        if !self.told.contains_key(&about) {
            let told = self.tell(&about);
            self.told.insert(about.clone(), told);
        }
        self.told.get(&about).map_or(&[], Vec::as_slice)
    }

    fn tell(&mut self, about: &[Way]) -> Vec<Arc<Egress>> {
        let about = about.iter().filter_map(|(place, ports)| {
            let (policy, rule) = self.rules.get(*place)?;
            Some((*policy, rule.leave(ports.clone())))
        });
        let here = Here {
            everywhere: &self.everywhere,
            about: by_policy(about),
        };
        if is_open(here.leaves(&self.whole)) {
            return Vec::new();
        }
        let crowd = self.tell_crowd(&here);
        let last = crowd.last();
        let is_rest_held = last.is_some_and(|it| Arc::ptr_eq(&it.callers, &self.others.callers));
        let alone = self.alone.iter().enumerate().filter_map(|(place, group)| {
            let is_told = is_rest_held || !is_open(here.leaves(&group.policies));
            let class = || self.class(&[group], group.callers.clone(), &here);
            is_told.then(|| (place, self.egress(&class(), &here, false)))
        });
        let mut told = Vec::new();
        for (place, egress) in alone.collect::<Vec<_>>() {
            let known = self.told_alone.entry((place, egress.rules.clone()));
            told.push(known.or_insert_with(|| Arc::new(egress)).clone());
        }
        told.extend(crowd);
        told
    }

    /// First those whom rules about this workload let out, and then the others as wherever no rule does.
    fn tell_crowd(&self, here: &Here<'_>) -> Vec<Arc<Egress>> {
        let moved = self.moved(here);
        let (anew, apart) = match moved.len() * 2 > self.crowd.len() {
            true => (Some(self.sorted(here)), Vec::new()),
            false => (None, self.classes(self.alike(moved, here), here)),
        };
        let apart = apart.iter().map(|it| self.egress(it, here, false));
        let classes = anew.as_ref().unwrap_or(&self.usual);
        let (most, few) = match classes.split_last() {
            Some((most, few)) => (Some(most), few),
            None => (None, &[][..]),
        };
        let is_whole_held = !self.whole.is_empty();
        let is_told = |most: &&Class| match is_whole_held {
            true => !most.rules.is_empty(),
            false => !is_open(&most.rules),
        };
        let rest = few.iter().chain(most.filter(is_told));
        let rest = rest.chain(is_whole_held.then_some(&self.others));
        let rest = rest.map(|it| self.egress(it, here, true));
        apart.chain(rest).map(Arc::new).collect()
    }

    /// Those of the crowd whom rules about this workload let out to more than where no rule is about it.
    fn moved(&self, here: &Here<'_>) -> Places {
        let usually = Here::unnamed(here.everywhere);
        let selected = here.about.keys().filter_map(|it| self.selected.get(it));
        let mut moved: Places = selected.flatten().copied().collect();
        moved.retain(|place| {
            let group = self.crowd.get(*place);
            group.is_some_and(|group| group.ports(here) != group.ports(&usually))
        });
        moved
    }

    /// All of the crowd, the largest class last, which stands for all who are in no other.
    fn sorted(&self, here: &Here<'_>) -> Vec<Class> {
        let mut alike = self.alike((0..self.crowd.len()).collect(), here);
        let most = alike.pop();
        let most = most.map(|groups| self.class(&groups, self.all.clone(), here));
        self.classes(alike, here).into_iter().chain(most).collect()
    }

    fn classes(&self, alike: Vec<Vec<&Group>>, here: &Here<'_>) -> Vec<Class> {
        let classes = alike.iter().map(|groups| {
            let callers = match &groups[..] {
                [one] => one.callers.clone(),
                several => Arc::new(Peers::any_of(several.iter().map(|it| &*it.callers))),
            };
            self.class(groups, callers, here)
        });
        classes.collect()
    }

    /// These of the crowd by the ports to which they are let out, most last.
    fn alike(&self, places: Places, here: &Here<'_>) -> Vec<Vec<&Group>> {
        let mut alike = BTreeMap::<_, Vec<_>>::new();
        for group in places.iter().filter_map(|place| self.crowd.get(*place)) {
            alike.entry(group.ports(here)).or_default().push(group);
        }
        let mut alike: Vec<_> = alike.into_values().collect();
        alike.sort_by_key(Vec::len);
        alike
    }

    fn class(&self, groups: &[&Group], callers: Arc<Peers>, here: &Here<'_>) -> Class {
        let selecting = groups.iter().map(|group| group.policies.clone());
        let common = selecting.reduce(|all, own| &all & &own);
        let mut by = common.unwrap_or_default();
        let have_others = by.is_empty() && self.whole.is_empty();
        if have_others {
            by.extend(groups.iter().flat_map(|group| &group.policies).next());
        }
        let leaves = groups.iter().flat_map(|group| here.leaves(&group.policies));
        Class {
            callers,
            by,
            have_others,
            rules: merged(leaves),
        }
    }

    fn egress(&self, class: &Class, here: &Here<'_>, is_rest: bool) -> Egress {
        let by = self.whole.union(&class.by);
        let by = by.filter_map(|place| self.policies.get(*place)).cloned();
        let mut rules = merged(here.leaves(&self.whole));
        let is_said = |rule: &&Leave| rules.iter().any(|said| said.ports == rule.ports);
        let own = class.rules.iter().filter(|rule| !is_said(rule));
        rules.extend(own.cloned().collect::<Vec<_>>());
        Egress {
            by: by.collect(),
            have_others: class.have_others,
            callers: class.callers.clone(),
            rules,
            is_rest,
        }
    }
}

impl Group {
    fn stands_alone(&self) -> bool {
        let mut accounts = self.callers.accounts.values();
        accounts.any(|at| *at != At::Anywhere)
    }

    /// The ports to which it is let out, beside those to which everybody is.
    fn ports<'h>(&self, here: &'h Here<'_>) -> BTreeSet<&'h [Ports]> {
        let rules = here.leaves(&self.policies);
        let ports: BTreeSet<_> = rules.map(|rule| &rule.ports[..]).collect();
        match ports.contains(&[][..]) {
            true => [&[][..]].into(),
            false => ports,
        }
    }
}

impl<'h> Here<'h> {
    /// What does so where rules are about nothing of who is called.
    fn unnamed(everywhere: &'h Ways) -> Self {
        Self {
            everywhere,
            about: Ways::new(),
        }
    }

    /// What the rules of these policies let out to.
    fn leaves(&self, policies: &Places) -> impl Iterator<Item = &Leave> {
        let of = |place| [self.everywhere.get(place), self.about.get(place)];
        policies.iter().flat_map(of).flatten().flatten()
    }
}

/// The policies of which this holds.
fn places<P>(policies: &[P], holds: impl Fn(&P) -> bool) -> Places {
    let holding = policies
        .iter()
        .enumerate()
        .filter(|(_, policy)| holds(policy));
    holding.map(|(place, _)| place).collect()
}

fn by_policy(leaves: impl Iterator<Item = (usize, Leave)>) -> Ways {
    let mut ways = Ways::new();
    for (policy, leave) in leaves {
        ways.entry(policy).or_default().push(leave);
    }
    ways
}

/// Whether one of them lets out to every port.
fn is_open<'l>(rules: impl IntoIterator<Item = &'l Leave>) -> bool {
    rules.into_iter().any(|rule| rule.ports.is_empty())
}

/// Each list of ports once, with the first rule that says it.
fn merged<'l>(rules: impl Iterator<Item = &'l Leave>) -> Vec<Leave> {
    let mut origins = BTreeMap::<_, BTreeSet<_>>::new();
    for rule in rules {
        origins.entry(&rule.ports).or_default().insert(&rule.origin);
    }
    let merged = origins.into_iter().filter_map(|(ports, mut origins)| {
        Some(Leave {
            origin: origins.pop_first()?.clone(),
            alike: u32::try_from(origins.len()).unwrap_or(u32::MAX),
            ports: ports.clone(),
        })
    });
    merged.collect()
}
