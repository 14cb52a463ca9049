//! What the processor of this machine runs.

/// Whether a kernel for 64-bit ARM runs programs for 32-bit ARM: its processor may be
/// one that cannot, and then the kernel refuses their personality, personality(2).
pub(crate) fn runs_32_bit() -> bool {
    const PER_LINUX32: libc::c_ulong = 8;
    const ASK: libc::c_ulong = 0xffff_ffff;
    // SAFETY: this asks for the personality and changes nothing.
    let before = unsafe { libc::personality(ASK) };
    let Ok(before) = libc::c_ulong::try_from(before) else {
        return false;
    };
    // SAFETY: it changes what uname(2) says and where later programs are put, and no
    // memory of this one; it is changed back at once.
    unsafe { libc::personality(PER_LINUX32) >= 0 && libc::personality(before) >= 0 }
}
