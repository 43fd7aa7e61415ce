//! The firewall: its rules and whether it is on from the registry, and which of its profiles are active from its own COM
//! interface, because the registry does not say that.

use std::ffi::c_void;
use std::io;
use std::ptr;

use windows_sys::Win32::Foundation::S_OK;
use windows_sys::Win32::System::Com::{
    CLSCTX_INPROC_SERVER, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx, CoUninitialize,
};
use windows_sys::core::{GUID, HRESULT};

use super::registry::{number, values, values_if_any};
use crate::machine::Firewall;

/// Where its own settings are, and those of group policies, which go before them.
const OWN: &str = r"SYSTEM\CurrentControlSet\Services\SharedAccess\Parameters\FirewallPolicy";
const POLICIES: &str = r"SOFTWARE\Policies\Microsoft\WindowsFirewall";

/// Its profiles: the key, and the bit in `NET_FW_PROFILE_TYPE2`.
const PROFILES: [(&str, u32, &str); 3] =
    [("DomainProfile", 1, "domain"), ("StandardProfile", 2, "private"), ("PublicProfile", 4, "public")];

pub(crate) fn firewall() -> io::Result<Option<Firewall>> {
    let mut firewall = Firewall::default();
    for (key, _, name) in PROFILES {
        let on = match number(&format!(r"{POLICIES}\{key}"), "EnableFirewall") {
            Ok(on) => on,
            // Most machines have no policies.
            Err(_) => number(&format!(r"{OWN}\{key}"), "EnableFirewall")?,
        };
        if on != 0 {
            firewall.on.push(name.to_owned());
        }
    }
    let own = values(&format!(r"{OWN}\FirewallRules"))?;
    let policies = values_if_any(&format!(r"{POLICIES}\FirewallRules"))?;
    firewall.rules = own.into_iter().chain(policies).filter_map(|value| value.text).collect();
    firewall.active = active_profiles().map(|bits| {
        PROFILES.iter().filter(|(_, bit, _)| bits & bit != 0).map(|(.., name)| (*name).to_owned()).collect()
    });
    Ok(Some(firewall))
}

/// `NetFwPolicy2`, and the interface of that name.
const CLASS: GUID = GUID::from_u128(0xe2b3c97f_6ae1_41ac_817a_f6f92166d7dd);
const INTERFACE: GUID = GUID::from_u128(0x98325047_c671_4174_8d81_defcd3f03186);

/// The beginning of `INetFwPolicy2`: IUnknown with three functions, IDispatch with four, and the first of its own.
#[repr(C)]
struct Functions {
    query_interface: *const c_void,
    add_ref: *const c_void,
    release: unsafe extern "system" fn(*mut c_void) -> u32,
    dispatch: [*const c_void; 4],
    current_profile_types: unsafe extern "system" fn(*mut c_void, *mut i32) -> HRESULT,
}

/// The bits of those that apply to the networks that this machine is in now.
fn active_profiles() -> Option<u32> {
    // SAFETY: nothing is passed. Where this thread has chosen another way before, that serves as well.
    let initialised = unsafe { CoInitializeEx(ptr::null(), COINIT_MULTITHREADED as u32) } >= S_OK;
    let mut policy: *mut c_void = ptr::null_mut();
    // SAFETY: both identifiers outlive the call, and `policy` is writable.
    let made = unsafe { CoCreateInstance(&CLASS, ptr::null_mut(), CLSCTX_INPROC_SERVER, &INTERFACE, &mut policy) };
    let mut bits = 0;
    let mut told = false;
    if made == S_OK && !policy.is_null() {
        // SAFETY: an object of this interface begins with a pointer to its functions, which are those above; it is released
        // once, and not used afterwards.
        unsafe {
            let functions = *policy.cast::<*const Functions>();
            told = ((*functions).current_profile_types)(policy, &mut bits) == S_OK;
            ((*functions).release)(policy);
        }
    }
    if initialised {
        // SAFETY: balances the successful call above, and no object is left.
        unsafe { CoUninitialize() };
    }
    told.then_some(bits.cast_unsigned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wine has the interface and little behind it.
    #[test]
    fn the_active_profiles_are_told_or_unknown() {
        let active = active_profiles();
        println!("{active:?}");
        assert!(active.is_none_or(|bits| bits == 0x7fff_ffff || bits & !7 == 0), "{active:?}");
    }
}
