//! Who is Up, Down and Gone: the states of the members as this node sees them.
//!
//! Inputs are what gossip shows alive, what links prove (a handshake, a goodbye) and the time; outputs are [`MembershipEvent`]s. Gossip,
//! sockets and timers are left to the shells. States go Up -> Down -> Up or Gone, per incarnation. Invariants, which tests cite:
//! 1. an incarnation that is Gone never comes back, for as long as the fence remembers it;
//! 2. of one name at most one incarnation is not Gone, and it is the highest that was seen;
//! 3. every member that is announced Gone was announced Up before, once;
//! 4. a suspicion only leads to Down; Gone takes the grace time *while this node was running*, a goodbye, or a successor.
//!
//! The last words of 4: a process that was stopped for an hour has not listened for an hour, so its pause does not count.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rand::{Rng, RngExt};

use crate::event::{GoneReason, Member, MemberState};
use crate::id::{Incarnation, NodeId, Origin};
use crate::limits::MAX_FENCED;
use crate::pace::GREETINGS;

/// Time between two inputs above which this process must have been stopped.
const PAUSE: Duration = Duration::from_secs(5);

/// How long a handshake counts as a sign of life while gossip has not shown the member yet.
const CONTACT_WINDOW: Duration = Duration::from_secs(3);

/// The members of a cluster, as one node sees them. Times are since any fixed moment.
///
/// `handle_*` take inputs, `poll_event` gives what follows from them, the rest are getters.
#[derive(Debug)]
pub struct Membership {
    me: Member,
    grace: Duration,
    members: BTreeMap<NodeId, Entry>,
    fence: Fence,
    /// Incarnations that are refused and that gossip shows alive: they have yet to learn it.
    returned: BTreeSet<Member>,
    superseded: bool,
    last_now: Duration,
    events: VecDeque<MembershipEvent>,
}

#[derive(Debug)]
struct Entry {
    member: Member,
    in_gossip: bool,
    contact_until: Duration,
    down_since: Option<Duration>,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MembershipEvent {
    /// Seen for the first time, or again.
    Up(Member),
    /// Not heard of.
    Down(Member),
    /// Will not come back under this incarnation.
    Gone(Member, GoneReason),
    /// A newer live process has this node's own name. Said once.
    Superseded(Member),
}

/// What gossip shows of a live incarnation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who.
    pub member: Member,
    /// Whether it says that it has left.
    pub left: bool,
}

impl Membership {
    /// A view with nobody in it but `me`.
    pub fn new(me: Member, grace: Duration) -> Self {
        Self {
            me,
            grace,
            members: BTreeMap::new(),
            fence: Fence::default(),
            returned: BTreeSet::new(),
            superseded: false,
            last_now: Duration::ZERO,
            events: VecDeque::new(),
        }
    }

    /// Takes the whole set of incarnations that gossip shows alive now.
    pub fn handle_live(&mut self, now: Duration, live: &[Sighting]) {
        self.advance(now);
        for entry in self.members.values_mut() {
            entry.in_gossip = false;
        }
        self.returned.clear();
        let mut sightings: Vec<&Sighting> = live.iter().collect();
        sightings.sort_by(|a, b| a.member.cmp(&b.member));
        for sighting in sightings {
            self.sight(now, sighting);
        }
        self.suspect(now);
    }

    /// Takes a completed handshake as proof that `member` lives. Returns whether it is a member now; it is not
    /// when it is Gone or this node itself.
    pub fn handle_contact(&mut self, now: Duration, member: &Member) -> bool {
        self.advance(now);
        let Some(entry) = self.admit(member) else {
            return false;
        };
        entry.contact_until = now + CONTACT_WINDOW;
        true
    }

    /// Takes a goodbye.
    pub fn handle_goodbye(&mut self, origin: Origin) {
        let leaver = self.members.values().find(|entry| entry.member.origin() == origin);
        if let Some(member) = leaver.map(|entry| entry.member.clone()) {
            self.give_up(&member, GoneReason::Left);
        }
    }

    /// Takes a peer's word that an origin is Gone, whether it was ever seen here or not.
    pub fn handle_declared_gone(&mut self, origin: Origin, reason: GoneReason) {
        let known = self.members.values().find(|entry| entry.member.origin() == origin);
        match known.map(|entry| entry.member.clone()) {
            Some(member) => self.give_up(&member, reason),
            None => self.fence.insert_origin(origin, None),
        }
    }

    /// Lets time pass.
    pub fn handle_tick(&mut self, now: Duration) {
        self.advance(now);
        self.suspect(now);
        let over: Vec<Member> = self
            .members
            .values()
            .filter(|entry| entry.down_since.is_some_and(|since| now >= since + self.grace))
            .map(|entry| entry.member.clone())
            .collect();
        for member in over {
            self.give_up(&member, GoneReason::GraceOver);
        }
    }

    /// Gossip starts afresh under a new identity of this node: members stay as they are until it has had time to find them.
    pub fn handle_restart(&mut self, now: Duration, me: Member) {
        self.advance(now);
        self.me = me;
        self.superseded = false;
        for entry in self.members.values_mut() {
            // Only the new gossip can say so, and it does not say whom it has never seen.
            entry.in_gossip = false;
            entry.contact_until = entry.contact_until.max(now + CONTACT_WINDOW);
        }
    }

    /// What followed from the inputs, in order.
    pub fn poll_event(&mut self) -> Option<MembershipEvent> {
        self.events.pop_front()
    }

    /// The members that are not Gone, sorted by name.
    pub fn members(&self) -> impl Iterator<Item = (&Member, MemberState)> {
        self.members.values().map(|entry| (&entry.member, entry.state()))
    }

    /// Whom to greet in this gossip round: members that are Down, which gossip forgets long before their grace is over, and seeds at whose address no member
    /// is. All nodes together greet each about [`GREETINGS`] times.
    pub fn to_greet<R: Rng>(&self, seeds: &[SocketAddr], rng: &mut R) -> Vec<SocketAddr> {
        let members = || self.members.values().map(|entry| (entry.member.addr, entry.state()));
        let up = members().filter(|(_, state)| *state == MemberState::Up).count();
        let down = members().filter(|(_, state)| *state == MemberState::Down).map(|(addr, _)| addr);
        let is_missing = |seed: &SocketAddr| *seed != self.me.addr && members().all(|(addr, _)| addr != *seed);
        let missing = seeds.iter().copied().filter(is_missing);
        down.chain(missing).filter(|_| rng.random_range(0..=up) < GREETINGS).collect()
    }

    /// The incarnation of a node that is not Gone, and its state.
    pub fn member(&self, node: &NodeId) -> Option<(&Member, MemberState)> {
        self.members.get(node).map(|entry| (&entry.member, entry.state()))
    }

    /// The state of an incarnation; `None` when it was never seen, or forgotten.
    pub fn state(&self, member: &Member) -> Option<MemberState> {
        match self.members.get(&member.node) {
            Some(entry) if entry.member.incarnation == member.incarnation => Some(entry.state()),
            Some(_) | None => self.fence.contains(member.origin()).then_some(MemberState::Gone),
        }
    }

    /// The highest incarnation of a name that was seen and is remembered.
    pub fn highest(&self, node: &NodeId) -> Option<Incarnation> {
        let present = self.members.get(node).map(|entry| entry.member.incarnation);
        present.max(self.fence.highest(node))
    }

    /// Whether an origin is known to be Gone.
    pub fn is_gone(&self, origin: Origin) -> bool {
        self.fence.contains(origin)
    }

    /// The origins that are Gone and remembered, the oldest first.
    pub fn gone(&self) -> impl Iterator<Item = Origin> {
        self.fence.order.iter().map(|(origin, _)| *origin)
    }

    /// Incarnations that are Gone, or too low, and that gossip shows alive while none above them is Up: they must be told.
    pub fn returned(&self) -> impl Iterator<Item = &Member> {
        let is_up = |node: &NodeId| matches!(self.member(node), Some((_, MemberState::Up)));
        self.returned.iter().filter(move |member| !is_up(&member.node))
    }

    /// For how long this process must have stood still, when this is the next input.
    pub fn pause_before(&self, now: Duration) -> Option<Duration> {
        Some(now.saturating_sub(self.last_now)).filter(|pause| *pause > PAUSE)
    }

    /// A pause of this process is no silence of its peers (invariant 4).
    fn advance(&mut self, now: Duration) {
        if let Some(pause) = self.pause_before(now) {
            for entry in self.members.values_mut() {
                entry.down_since = entry.down_since.map(|since| since + pause);
                entry.contact_until += pause;
            }
        }
        self.last_now = self.last_now.max(now);
    }

    fn sight(&mut self, now: Duration, sighting: &Sighting) {
        let member = &sighting.member;
        if member.node == self.me.node {
            self.sight_namesake(member);
            return;
        }
        if sighting.left {
            self.see_off(member);
            return;
        }
        match self.admit(member) {
            Some(entry) => {
                entry.in_gossip = true;
                entry.contact_until = entry.contact_until.min(now);
            }
            None => {
                self.returned.insert(member.clone());
            }
        }
    }

    /// The one of two processes with this name that has the lower incarnation gives way. At our own address it can only be ourselves.
    fn sight_namesake(&mut self, member: &Member) {
        if member.incarnation > self.me.incarnation && member.addr != self.me.addr && !self.superseded {
            self.superseded = true;
            self.events.push_back(MembershipEvent::Superseded(member.clone()));
        }
    }

    /// A member that left may never have been seen here: then it is only fenced.
    fn see_off(&mut self, member: &Member) {
        match self.members.get(&member.node) {
            Some(entry) if entry.member.incarnation == member.incarnation => {
                self.give_up(member, GoneReason::Left);
            }
            Some(_) | None => self.fence.insert(member),
        }
    }

    /// Makes a live incarnation Up, unless it is Gone or below one that was seen (invariants 1 and 2).
    fn admit(&mut self, member: &Member) -> Option<&mut Entry> {
        if member.node == self.me.node || self.fence.contains(member.origin()) {
            return None;
        }
        if self.highest(&member.node).is_some_and(|highest| highest > member.incarnation) {
            self.fence.insert(member);
            return None;
        }
        let older = self.members.get(&member.node).map(|entry| entry.member.clone());
        if let Some(older) = older.filter(|older| older.incarnation != member.incarnation) {
            self.give_up(&older, GoneReason::Superseded);
        }
        let events = &mut self.events;
        let entry = self.members.entry(member.node.clone()).or_insert_with(|| {
            events.push_back(MembershipEvent::Up(member.clone()));
            Entry { member: member.clone(), in_gossip: false, contact_until: Duration::ZERO, down_since: None }
        });
        if entry.down_since.take().is_some() {
            events.push_back(MembershipEvent::Up(member.clone()));
        }
        Some(entry)
    }

    fn suspect(&mut self, now: Duration) {
        for entry in self.members.values_mut() {
            if entry.down_since.is_none() && !entry.in_gossip && now >= entry.contact_until {
                entry.down_since = Some(now);
                self.events.push_back(MembershipEvent::Down(entry.member.clone()));
            }
        }
    }

    fn give_up(&mut self, member: &Member, reason: GoneReason) {
        self.members.remove(&member.node);
        self.fence.insert(member);
        self.events.push_back(MembershipEvent::Gone(member.clone(), reason));
    }
}

impl Entry {
    fn state(&self) -> MemberState {
        match self.down_since {
            Some(_) => MemberState::Down,
            None => MemberState::Up,
        }
    }
}

/// The incarnations that may not come back, the oldest forgotten first.
#[derive(Debug, Default)]
struct Fence {
    /// With the member where it was ever seen; of others only the origin was told.
    order: VecDeque<(Origin, Option<Member>)>,
    origins: BTreeSet<Origin>,
}

impl Fence {
    fn insert(&mut self, member: &Member) {
        self.insert_origin(member.origin(), Some(member.clone()));
    }

    fn insert_origin(&mut self, origin: Origin, member: Option<Member>) {
        if !self.origins.insert(origin) {
            return;
        }
        self.order.push_back((origin, member));
        if self.order.len() > MAX_FENCED
            && let Some((oldest, _)) = self.order.pop_front()
        {
            self.origins.remove(&oldest);
        }
    }

    fn contains(&self, origin: Origin) -> bool {
        self.origins.contains(&origin)
    }

    fn highest(&self, node: &NodeId) -> Option<Incarnation> {
        let seen = self.order.iter().filter_map(|(_, member)| member.as_ref());
        seen.filter(|member| member.node == *node).map(|member| member.incarnation).max()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    use super::*;

    const GRACE: Duration = Duration::from_mins(10);

    fn member(node: &str, incarnation: u64) -> Member {
        Member {
            node: NodeId::new(node).unwrap(),
            incarnation: Incarnation(incarnation),
            addr: SocketAddr::from(([10, 0, 0, 1], 1_000 + incarnation as u16)),
        }
    }

    fn live(members: &[Member]) -> Vec<Sighting> {
        members.iter().map(|member| Sighting { member: member.clone(), left: false }).collect()
    }

    fn seconds(count: u64) -> Duration {
        Duration::from_secs(count)
    }

    struct World {
        core: Membership,
        now: Duration,
    }

    impl World {
        fn new() -> Self {
            Self { core: Membership::new(member("me", 5), GRACE), now: Duration::ZERO }
        }

        fn run(&mut self, span: Duration) -> Vec<MembershipEvent> {
            let end = self.now + span;
            while self.now < end {
                self.now += seconds(1);
                self.core.handle_tick(self.now);
            }
            self.events()
        }

        fn see(&mut self, members: &[Member]) -> Vec<MembershipEvent> {
            self.core.handle_live(self.now, &live(members));
            self.events()
        }

        fn events(&mut self) -> Vec<MembershipEvent> {
            std::iter::from_fn(|| self.core.poll_event()).collect()
        }
    }

    use MembershipEvent::{Down, Gone, Superseded, Up};

    #[test]
    fn a_member_comes_goes_down_and_returns() {
        let mut world = World::new();
        let b = member("b", 1);
        assert_eq!(world.see(&[member("me", 5), b.clone()]), [Up(b.clone())]);
        assert_eq!(world.see(&[]), [Down(b.clone())]);
        assert_eq!(world.run(seconds(GRACE.as_secs() - 1)), []);
        assert_eq!(world.see(std::slice::from_ref(&b)), [Up(b)]);
    }

    #[test]
    fn a_member_that_is_down_for_the_grace_time_is_gone_and_never_returns() {
        let mut world = World::new();
        let b = member("b", 1);
        world.see(std::slice::from_ref(&b));
        world.see(&[]);
        assert_eq!(world.run(GRACE), [Gone(b.clone(), GoneReason::GraceOver)]);
        assert_eq!(world.see(std::slice::from_ref(&b)), []);
        assert!(!world.core.handle_contact(world.now, &b));
        assert_eq!(world.core.state(&b), Some(MemberState::Gone));
        assert_eq!(world.core.returned().collect::<Vec<_>>(), [&b]);
        let next = member("b", 2);
        assert_eq!(world.see(&[b, next.clone()]), [Up(next)]);
        assert_eq!(world.core.returned().count(), 0);
    }

    /// Found by a review: of seeds that were dead for long nobody took notice when they started again, until they had gone on by themselves.
    #[test]
    fn who_is_down_and_seeds_that_are_missing_are_greeted_whoever_is_gone() {
        let mut world = World::new();
        let (up, down, gone) = (member("b", 1), member("c", 2), member("d", 3));
        world.see(&[up.clone(), down.clone(), gone.clone()]);
        world.core.handle_declared_gone(gone.origin(), GoneReason::GraceOver);
        world.see(std::slice::from_ref(&up));
        let seeds = [member("me", 5).addr, up.addr, down.addr, gone.addr];
        let mut rng = SmallRng::seed_from_u64(1);
        assert_eq!(world.core.to_greet(&seeds, &mut rng), [down.addr, gone.addr]);
    }

    #[test]
    fn about_two_nodes_greet_a_missing_seed_in_a_round_however_many_there_are() {
        let mut rng = SmallRng::seed_from_u64(1);
        for nodes in [3_u64, 30, 300] {
            let mut world = World::new();
            let others: Vec<Member> = (1..nodes).map(|n| member(&format!("n{n}"), 100 + n)).collect();
            world.see(&others);
            let seed = [member("seed", 1).addr];
            let greetings: usize = (0..100 * nodes).map(|_| world.core.to_greet(&seed, &mut rng).len()).sum();
            assert!((150..250).contains(&greetings), "{greetings} of {nodes} nodes in a hundred rounds");
        }
    }

    #[test]
    fn the_time_that_this_process_was_stopped_does_not_count_as_grace() {
        let mut world = World::new();
        let b = member("b", 1);
        world.see(std::slice::from_ref(&b));
        world.see(&[]);
        world.now += GRACE * 6;
        world.core.handle_tick(world.now);
        assert_eq!(world.events(), []);
        assert_eq!(world.run(GRACE), [Gone(b, GoneReason::GraceOver)]);
    }

    #[test]
    fn a_newer_incarnation_makes_the_older_gone_and_an_older_one_changes_nothing() {
        let mut world = World::new();
        let (old, new) = (member("b", 1), member("b", 2));
        world.see(std::slice::from_ref(&old));
        assert_eq!(
            world.see(&[old.clone(), new.clone()]),
            [Gone(old.clone(), GoneReason::Superseded), Up(new.clone())]
        );
        assert_eq!(world.see(&[old.clone(), new.clone()]), []);
        assert_eq!(world.core.highest(&old.node), Some(new.incarnation));
        assert_eq!(world.see(&[member("b", 0), new]), []);
    }

    #[test]
    fn an_origin_that_a_peer_declared_gone_is_gone_here_whether_it_was_seen_or_not() {
        let mut world = World::new();
        let (b, c) = (member("b", 1), member("c", 1));
        world.see(std::slice::from_ref(&b));
        world.core.handle_declared_gone(b.origin(), GoneReason::GraceOver);
        world.core.handle_declared_gone(c.origin(), GoneReason::GraceOver);
        assert_eq!(world.events(), [Gone(b.clone(), GoneReason::GraceOver)]);
        assert_eq!(world.see(&[b.clone(), c.clone()]), []);
        assert_eq!(world.core.returned().collect::<Vec<_>>(), [&b, &c], "both have to be told");
    }

    /// Found by a simulated storm (seed 992): a node whose clock had been set back stayed outside until its former incarnation was given up.
    #[test]
    fn an_incarnation_that_is_too_low_is_told_once_the_higher_one_is_not_up() {
        let mut world = World::new();
        let (low, high) = (member("b", 1), member("b", 2));
        world.see(std::slice::from_ref(&high));
        assert_eq!(world.see(&[low.clone(), high.clone()]), []);
        assert_eq!(world.core.returned().count(), 0, "it may be history");
        assert_eq!(world.see(std::slice::from_ref(&low)), [Down(high.clone())]);
        assert_eq!(world.core.returned().collect::<Vec<_>>(), [&low]);
        assert_eq!(world.core.highest(&low.node), Some(high.incarnation), "what it has to be above");
    }

    #[test]
    fn a_goodbye_is_gone_at_once_also_when_only_gossip_tells() {
        let mut world = World::new();
        let (b, c) = (member("b", 1), member("c", 1));
        world.see(&[b.clone(), c.clone()]);
        world.core.handle_goodbye(b.origin());
        assert_eq!(world.events(), [Gone(b.clone(), GoneReason::Left)]);
        world.core.handle_goodbye(b.origin());
        assert_eq!(world.events(), []);
        let left = [Sighting { member: c.clone(), left: true }];
        world.core.handle_live(world.now, &left);
        assert_eq!(world.events(), [Gone(c, GoneReason::Left)]);
        let stranger = [Sighting { member: member("d", 1), left: true }];
        world.core.handle_live(world.now, &stranger);
        assert_eq!(world.events(), [], "who was never Up is never announced Gone");
    }

    #[test]
    fn a_handshake_makes_a_member_up_and_gossip_has_a_few_seconds_to_agree() {
        let mut world = World::new();
        let b = member("b", 1);
        assert!(world.core.handle_contact(world.now, &b));
        assert_eq!(world.events(), [Up(b.clone())]);
        assert_eq!(world.see(&[]), []);
        assert_eq!(world.run(CONTACT_WINDOW), [Down(b)]);
    }

    #[test]
    fn a_restart_of_gossip_suspects_nobody_until_it_had_time() {
        let mut world = World::new();
        let b = member("b", 1);
        world.see(std::slice::from_ref(&b));
        world.core.handle_restart(world.now, member("me", 6));
        assert_eq!(world.see(&[]), []);
        assert_eq!(world.see(std::slice::from_ref(&b)), []);
        assert_eq!(world.see(&[]), [Down(b)]);
    }

    /// Found by a simulated storm (seed 2650): gossip that has never seen anybody tells of no change, so who had died was Up for ever.
    #[test]
    fn who_is_never_seen_after_a_restart_of_gossip_is_down_once_it_had_time() {
        let mut world = World::new();
        let b = member("b", 1);
        world.see(std::slice::from_ref(&b));
        world.core.handle_restart(world.now, member("me", 6));
        assert_eq!(world.run(CONTACT_WINDOW), [Down(b)]);
    }

    #[test]
    fn a_newer_namesake_elsewhere_supersedes_this_node_once_but_its_own_shadow_does_not() {
        let mut world = World::new();
        let mut shadow = member("me", 9);
        shadow.addr = member("me", 5).addr;
        assert_eq!(world.see(&[member("me", 4), shadow]), []);
        let namesake = member("me", 6);
        assert_eq!(world.see(std::slice::from_ref(&namesake)), [Superseded(namesake.clone())]);
        assert_eq!(world.see(&[namesake]), []);
    }

    #[test]
    fn the_fence_forgets_the_oldest_at_its_cap() {
        let mut fence = Fence::default();
        for incarnation in 0..=MAX_FENCED as u64 {
            fence.insert(&member("b", incarnation));
        }
        assert_eq!(fence.order.len(), MAX_FENCED);
        assert_eq!(fence.origins.len(), MAX_FENCED);
        assert!(!fence.contains(member("b", 0).origin()));
        assert!(fence.contains(member("b", 1).origin()));
    }

    #[derive(Debug, Clone)]
    enum Step {
        See(Vec<(u8, u64, bool)>),
        Contact(u8, u64),
        Goodbye(u8, u64),
        Wait(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        let who = || (0_u8..3, 0_u64..4);
        prop_oneof![
            4 => proptest::collection::vec((0_u8..3, 0_u64..4, proptest::bool::weighted(0.1)), 0..4).prop_map(Step::See),
            1 => who().prop_map(|(node, incarnation)| Step::Contact(node, incarnation)),
            1 => who().prop_map(|(node, incarnation)| Step::Goodbye(node, incarnation)),
            2 => (0_u64..400).prop_map(Step::Wait),
        ]
    }

    proptest! {
        #[test]
        fn every_trace_keeps_the_invariants(steps in proptest::collection::vec(any_step(), 0..60)) {
            let named = |node: u8, incarnation| member(["b", "c", "d"][usize::from(node)], incarnation);
            let mut world = World::new();
            let mut announced: BTreeMap<Member, bool> = BTreeMap::new();
            let mut gone: BTreeSet<Member> = BTreeSet::new();
            for step in steps {
                match step {
                    Step::See(seen) => {
                        let seen: Vec<Sighting> = seen
                            .into_iter()
                            .map(|(node, incarnation, left)| Sighting { member: named(node, incarnation), left })
                            .collect();
                        world.core.handle_live(world.now, &seen);
                    }
                    Step::Contact(node, incarnation) => {
                        world.core.handle_contact(world.now, &named(node, incarnation));
                    }
                    Step::Goodbye(node, incarnation) => world.core.handle_goodbye(named(node, incarnation).origin()),
                    Step::Wait(seconds) => {
                        world.now += Duration::from_secs(seconds);
                        world.core.handle_tick(world.now);
                    }
                }
                for event in world.events() {
                    match event {
                        Up(member) => {
                            prop_assert!(!gone.contains(&member), "invariant 1");
                            prop_assert_ne!(announced.insert(member, true), Some(true));
                        }
                        Down(member) => prop_assert_eq!(announced.insert(member, false), Some(true)),
                        Gone(member, _) => {
                            prop_assert!(announced.remove(&member).is_some(), "invariant 3");
                            prop_assert!(gone.insert(member), "invariant 3");
                        }
                        Superseded(_) => prop_assert!(false, "nobody has our name here"),
                    }
                }
                let names: BTreeSet<&NodeId> = announced.keys().map(|member| &member.node).collect();
                prop_assert_eq!(names.len(), announced.len(), "invariant 2");
                for (member, is_up) in &announced {
                    let expected = if *is_up { MemberState::Up } else { MemberState::Down };
                    prop_assert_eq!(world.core.state(member), Some(expected));
                }
            }
        }
    }
}
