//! A stream of a device beside those that burn computes on. Its work runs after all work that was queued on the device before it, and before all
//! work that is queued later.

use std::ptr;

use cudarc::driver::sys;

/// A stream and the events that order it with burn's.
pub(super) struct Stream {
    context: sys::CUcontext,
    pub(super) raw: sys::CUstream,
    before: sys::CUevent,
    after: sys::CUevent,
}

#[expect(unsafe_code, reason = "the driver is called")]
impl Stream {
    pub(super) fn open() -> Option<Self> {
        let (mut context, mut stream) = (ptr::null_mut(), ptr::null_mut());
        let (mut before, mut after) = (ptr::null_mut(), ptr::null_mut());
        let untimed = sys::CUevent_flags::CU_EVENT_DISABLE_TIMING as u32;
        let apart = sys::CUstream_flags::CU_STREAM_NON_BLOCKING as u32;
        // SAFETY: each call writes one handle to the pointer that it is given; the context is the one that burn computes in.
        unsafe {
            sys::cuCtxGetCurrent(&raw mut context).result().ok()?;
            sys::cuStreamCreate(&raw mut stream, apart).result().ok()?;
            sys::cuEventCreate(&raw mut before, untimed).result().ok()?;
            sys::cuEventCreate(&raw mut after, untimed).result().ok()?;
        }
        if context.is_null() {
            return None;
        }
        Some(Self { context, raw: stream, before, after })
    }

    pub(super) fn begin(&self) -> Option<()> {
        // SAFETY: the event, the stream and the context are of one device, and live as long as its thread.
        unsafe {
            sys::cuCtxRecordEvent(self.context, self.before).result().ok()?;
            sys::cuStreamWaitEvent(self.raw, self.before, 0).result().ok()
        }
    }

    pub(super) fn end(&self) -> Option<()> {
        // SAFETY: as above.
        unsafe {
            sys::cuEventRecord(self.after, self.raw).result().ok()?;
            sys::cuCtxWaitEvent(self.context, self.after).result().ok()
        }
    }
}
