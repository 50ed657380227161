//! What the interposition of `getrandom` rests on.
//!
//! Version 0.2 of the crate `getrandom` (that of rand 0.8) makes the system call itself, past the symbol that this crate takes over. One
//! dependency that brings it back would make histories differ, rarely at first. So nothing that is simulated may depend on it. The TLS to a
//! Redis does, and no Redis is simulated.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;

use headcount_simulations::entropy;
use toml::Value;

/// A package of the lock file: name and version.
type Package = (String, String);

/// What is not simulated: they are not followed.
const OUTSIDE: [&str; 3] = ["rcgen", "redis", "rustls"];

#[test]
fn nothing_that_is_simulated_depends_on_getrandom_0_2() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.lock");
    let lock: Value = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let dependencies = dependencies(&lock);
    let root = dependencies.keys().find(|(name, _)| name == env!("CARGO_PKG_NAME")).unwrap().clone();

    // Each package with the one that led to it.
    let mut reached: BTreeMap<Package, Option<Package>> = BTreeMap::from([(root.clone(), None)]);
    let mut queue = VecDeque::from([root]);
    while let Some(package) = queue.pop_front() {
        for dependency in &dependencies[&package] {
            if !OUTSIDE.contains(&dependency.0.as_str()) && !reached.contains_key(dependency) {
                reached.insert(dependency.clone(), Some(package.clone()));
                queue.push_back(dependency.clone());
            }
        }
    }
    let versions = |name: &str| reached.keys().filter(|package| package.0 == name).cloned().collect::<Vec<_>>();
    for package in versions("getrandom") {
        let path: Vec<_> = std::iter::successors(Some(&package), |package| reached[*package].as_ref()).collect();
        assert!(!package.1.starts_with("0.2."), "it is needed by way of {path:?}");
    }
    assert!(!versions("getrandom").is_empty() && !versions("chitchat").is_empty(), "the lock file was not understood");
}

/// Of each package those it depends on. A dependency is written with its version only where its name is not enough.
fn dependencies(lock: &Value) -> BTreeMap<Package, BTreeSet<Package>> {
    let packages = lock["package"].as_array().unwrap();
    let text = |value: &Value, key: &str| value[key].as_str().unwrap().to_owned();
    let all: Vec<Package> = packages.iter().map(|package| (text(package, "name"), text(package, "version"))).collect();
    let named = |dependency: &Value| {
        let mut words = dependency.as_str().unwrap().split(' ');
        let (name, version) = (words.next().unwrap(), words.next());
        let fits = |package: &&Package| package.0 == name && version.is_none_or(|version| package.1 == version);
        all.iter().find(fits).unwrap().clone()
    };
    let needs = |package: &Value| {
        let listed = package.get("dependencies").and_then(Value::as_array);
        listed.into_iter().flatten().map(named).collect()
    };
    all.iter().cloned().zip(packages.iter().map(needs)).collect()
}

#[test]
fn whoever_asks_the_system_for_randomness_asks_us() {
    assert!(entropy::is_interposed());
}
