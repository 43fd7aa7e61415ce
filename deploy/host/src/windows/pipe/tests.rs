//! Every flag and descriptor of our pipes, read back from the system.

use std::os::windows::io::AsRawHandle as _;
use std::ptr;

use windows_sys::Win32::Foundation::{ERROR_INVALID_OWNER, ERROR_SUCCESS};
use windows_sys::Win32::Security::Authorization::{
    ConvertSecurityDescriptorToStringSecurityDescriptorW, GetSecurityInfo, SDDL_REVISION_1, SE_KERNEL_OBJECT,
};
use windows_sys::Win32::Security::{DACL_SECURITY_INFORMATION, PSECURITY_DESCRIPTOR, SECURITY_ATTRIBUTES};
use windows_sys::Win32::System::Pipes::{
    GetNamedPipeHandleStateW, GetNamedPipeInfo, PIPE_SERVER_END, PIPE_TYPE_MESSAGE, PIPE_UNLIMITED_INSTANCES,
};

use super::*;
use crate::sys::account::{own_sid, take_text};
use crate::sys::check_server;

fn unique(name: &str) -> String {
    format!(r"\\.\pipe\tidegate-flags-{name}-{}", std::process::id())
}

/// The access list of a pipe, as the system keeps it.
fn list(pipe: &NamedPipeServer) -> String {
    let mut descriptor: PSECURITY_DESCRIPTOR = ptr::null_mut();
    let mut text = ptr::null_mut();
    // SAFETY: the handle is open; descriptor and text are writable, the rest is not asked for.
    unsafe {
        let code = GetSecurityInfo(
            pipe.as_raw_handle(),
            SE_KERNEL_OBJECT,
            DACL_SECURITY_INFORMATION,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            &mut descriptor,
        );
        assert_eq!(code, ERROR_SUCCESS);
        let told = ConvertSecurityDescriptorToStringSecurityDescriptorW(
            descriptor,
            SDDL_REVISION_1,
            DACL_SECURITY_INFORMATION,
            &mut text,
            ptr::null_mut(),
        );
        assert_ne!(told, 0);
    }
    take_text(text)
}

/// The system writes FA for the generic right to everything, once it belongs to a pipe.
fn as_kept(text: &str) -> String {
    let list = text.split("S:(").next().unwrap_or_default();
    list.replace(";GA;", ";FA;")
}

#[tokio::test]
async fn a_pipe_keeps_the_list_that_it_was_made_with() {
    let own = own_sid().unwrap();
    for audience in [Audience::Commands, Audience::Workers, Audience::Proxy] {
        let pipe = instance(&unique(&format!("list-{}", audience as u32)), audience, true).unwrap();
        let wanted = as_kept(&crate::sddl::pipe(audience, &own, &[]));
        assert_eq!(as_kept(&list(&pipe)), wanted, "{audience:?}");
    }
}

#[tokio::test]
async fn a_pipe_is_a_stream_of_bytes_with_buffers_and_any_number_of_instances() {
    let name = unique("info");
    let first = instance(&name, Audience::Proxy, true).unwrap();
    let second = instance(&name, Audience::Proxy, false).unwrap();
    for pipe in [&first, &second] {
        let (mut flags, mut out, mut into, mut most) = (0, 0, 0, 0);
        // SAFETY: the handle is open, and all four are writable.
        let told = unsafe { GetNamedPipeInfo(pipe.as_raw_handle(), &mut flags, &mut out, &mut into, &mut most) };
        assert_ne!(told, 0);
        assert_ne!(flags & PIPE_SERVER_END, 0);
        assert_eq!(flags & PIPE_TYPE_MESSAGE, 0);
        assert_eq!((out, into), (BUFFER, BUFFER));
        // Wine has another number for it.
        assert!(matches!(most, PIPE_UNLIMITED_INSTANCES | u32::MAX), "{most}");
    }
    let mut instances = 0;
    // SAFETY: the handle is open, the number is writable, the rest is not asked for.
    let told = unsafe {
        GetNamedPipeHandleStateW(
            first.as_raw_handle(),
            ptr::null_mut(),
            &mut instances,
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
            0,
        )
    };
    assert_ne!(told, 0);
    assert_eq!(instances, 2);
}

/// What of a pipe cannot be read back: remote clients are refused, and only the first instance may be the first.
#[test]
fn the_options_of_an_instance_are_the_hardened_ones() {
    for first in [true, false] {
        let shown = format!("{:?}", options(first));
        for wanted in [
            "reject_remote_clients: true",
            &format!("first_pipe_instance: {first}"),
            "access_inbound: true",
            "access_outbound: true",
            "write_dac: false",
            "write_owner: false",
        ] {
            assert!(shown.contains(wanted), "{wanted}: {shown}");
        }
    }
}

#[tokio::test]
async fn both_ends_know_each_others_process() {
    let endpoint = Endpoint::Pipe(unique("ends"));
    let mut listener = Listener::bind(&endpoint, Audience::Proxy).unwrap();
    let client = connect(&endpoint).await.unwrap().unwrap();
    let server = listener.accept().await.unwrap();
    let own = Some(std::process::id());
    assert_eq!((client_process(&server), server_process(&client)), (own, own));
    assert_eq!((client_process(&client), server_process(&server)), (None, None));
}

#[tokio::test]
async fn a_server_of_our_own_account_is_believed() {
    let endpoint = Endpoint::Pipe(unique("own"));
    let _listener = Listener::bind(&endpoint, Audience::Commands).unwrap();
    let client = connect(&endpoint).await.unwrap().unwrap();
    check_server(&client).unwrap();
}

/// The account is nobody's here. Windows lets only those who may restore files make a pipe for somebody else, which is
/// why its owner can be relied upon; Wine lets everybody.
#[tokio::test]
async fn a_server_of_another_account_is_refused() {
    const STRANGER: &str = "S-1-5-21-1-2-3-1001";
    let name = unique("stranger");
    let descriptor = security::make(&format!("O:{STRANGER}D:(A;;GA;;;WD)")).unwrap();
    let mut attributes = SECURITY_ATTRIBUTES {
        nLength: size_of::<SECURITY_ATTRIBUTES>() as u32,
        lpSecurityDescriptor: descriptor.0,
        bInheritHandle: 0,
    };
    // SAFETY: the pointer is to initialised SECURITY_ATTRIBUTES that outlive the call, and so does their descriptor.
    let made = unsafe { options(true).create_with_security_attributes_raw(&name, (&raw mut attributes).cast()) };
    let _server = match made {
        Ok(server) => server,
        Err(error) => {
            assert_eq!(error.raw_os_error(), Some(ERROR_INVALID_OWNER.cast_signed()), "{error}");
            return;
        }
    };
    let client = connect(&Endpoint::Pipe(name)).await.unwrap().unwrap();
    let error = check_server(&client).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    let process = format!("process {} of {STRANGER} listens there; expected an app server", std::process::id());
    assert!(error.to_string().contains(&process), "{error}");
}

#[test]
fn every_list_is_one_that_the_system_understands() {
    let own = own_sid().unwrap();
    let trusted = ["S-1-5-80-956008885-3418522649-1831038044-1853292631-2271478464".to_owned()];
    for audience in [Audience::Commands, Audience::Workers, Audience::Proxy] {
        security::make(&crate::sddl::pipe(audience, &own, &trusted)).unwrap();
    }
    security::make(&crate::sddl::place(&trusted, &trusted, true)).unwrap();
}

/// mio's reads had 4 KiB at the most before 1.2.5.
#[tokio::test]
async fn a_read_takes_as_much_as_its_reader_has_room_for() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    const PIECE: usize = 64 << 10;
    const PIECES: usize = 64;
    let endpoint = Endpoint::Pipe(unique("large"));
    let mut listener = Listener::bind(&endpoint, Audience::Proxy).unwrap();
    let mut client = connect(&endpoint).await.unwrap().unwrap();
    let mut server = listener.accept().await.unwrap();
    let writing = tokio::spawn(async move {
        for _ in 0..PIECES {
            server.write_all(&vec![7; PIECE]).await.unwrap();
        }
        server
    });
    let (mut left, mut reads) = (PIECE * PIECES, 0);
    let mut buffer = vec![0; PIECE];
    while left > 0 {
        left -= client.read(&mut buffer).await.unwrap();
        reads += 1;
    }
    drop(writing.await.unwrap());
    assert!(reads <= 2 * PIECES, "{reads} reads of {PIECES} pieces");
}
