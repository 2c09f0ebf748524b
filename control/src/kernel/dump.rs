//! The whole state in one go.

use std::pin::pin;

use futures_util::Stream;
use rtnetlink::Handle;
use rtnetlink::packet_core::NetlinkPayload;
use rtnetlink::packet_route::RouteNetlinkMessage;

use super::{KernelError, KernelState};

/// Every link and address of this network namespace, once.
///
/// # Errors
/// When the kernel refuses or does not answer.
pub fn once() -> Result<KernelState, KernelError> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(KernelError::Open)?;
    runtime.block_on(async {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(KernelError::Open)?;
        tokio::spawn(connection);
        dump(&handle).await
    })
}

/// Every link and address of the namespace of `handle`'s socket.
///
/// # Errors
/// When the kernel refuses or does not answer.
pub async fn dump(handle: &Handle) -> Result<KernelState, KernelError> {
    let mut state = KernelState::default();
    each(handle.link().get().execute(), |link| {
        state.apply(&NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewLink(link)));
    })
    .await?;
    each(handle.address().get().execute(), |address| {
        state.apply(&NetlinkPayload::InnerMessage(RouteNetlinkMessage::NewAddress(address)));
    })
    .await?;
    Ok(state)
}

async fn each<T>(
    stream: impl Stream<Item = Result<T, rtnetlink::Error>>,
    mut act: impl FnMut(T),
) -> Result<(), KernelError> {
    let mut stream = pin!(stream);
    while let Some(item) = std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await {
        act(item?);
    }
    Ok(())
}
