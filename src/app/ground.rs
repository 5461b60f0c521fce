//! Looks at what the host lacks, says so, and has whoever waits for it try again once it is back.

use std::rc::Rc;

use super::house::House;
use crate::base::{Machine as _, limits};
use crate::core::ground::{Output, Seen};
use crate::rt::clock;
use crate::rt::net::{dns::Resolver, has_route};

/// For as long as the process runs.
pub(super) async fn drive(house: Rc<House>) {
    loop {
        let seen = look(&house).await;
        let now = clock::now();
        house.ground.borrow_mut().handle(now, seen);
        act(&house);
        let due = house.ground.borrow().deadline();
        clock::sleep_until(due.unwrap_or(now + limits::GROUND_LOOK_IDLE)).await;
    }
}

async fn look(house: &House) -> Seen {
    let (faults, host) = house.fleet.borrow().waits_for();
    let has_dns = match host.filter(|_| faults.dns) {
        Some(host) => Some(answers(&host).await),
        None => None,
    };
    Seen { wall: clock::wall(), has_route: has_route(), has_dns, faults }
}

/// Whether the name of `host` can be resolved now: by a resolver that remembers nothing.
async fn answers(host: &str) -> bool {
    let resolver = Resolver::system();
    let by = clock::now() + limits::GROUND_LOOK;
    matches!(clock::timeout(by, resolver.resolve(host, 443)).await, Some(Ok(_)))
}

fn act(house: &House) {
    loop {
        let output = house.ground.borrow_mut().poll();
        match output {
            Some(Output::Lacks(lack)) => log::warn!(target: "gateway", "{lack}"),
            Some(Output::Back(lack, after)) => {
                let what = lack.name();
                log::info!(target: "gateway", "{what} is back after {} s", after.as_secs());
            }
            Some(Output::Hurry) => house.fleet.borrow().hurry(),
            None => return,
        }
        // For the line that `systemctl status` shows.
        house.nudge();
    }
}
