//! Those accounts that wait for their next try.

use super::{Body, Fleet};
use crate::app::account;
use crate::base::End;
use crate::base::end::{DialFault, Phase};
use crate::core::ground::Faults;
use crate::proto::discord::gateway::Ask;

impl Fleet {
    /// What those who wait for their next try ran into, and a host whose name could not be
    /// resolved.
    pub(in crate::app) fn waits_for(&self) -> (Faults, Option<String>) {
        let (mut faults, mut host) = (Faults::default(), None);
        for slot in &self.slots {
            let Body::Running(started) = &slot.body else { continue };
            let Some(end) = started.account.view().waits_after() else { continue };
            faults.any = true;
            match end {
                End::Dial(DialFault::NoRoute) => faults.route = true,
                End::Dial(DialFault::Clock) => faults.clock = true,
                End::Dial(DialFault::Dns) | End::Silence(Phase::Resolve) => {
                    faults.dns = true;
                    host = host.or_else(|| account::host(&slot.plan.discord));
                }
                _ => {}
            }
        }
        (faults, host)
    }

    /// Whoever waits for the next try tries now.
    pub(in crate::app) fn hurry(&self) {
        for slot in &self.slots {
            if let Body::Running(started) = &slot.body
                && started.account.view().waits_after().is_some()
            {
                started.account.ask(Ask::Hurry);
            }
        }
    }
}
