//! The pages of `docs/errors/`, in the binary.

macro_rules! pages {
    ($($code:ident)*) => {
        &[$((stringify!($code), include_str!(concat!("../../../docs/errors/", stringify!($code), ".md")))),*]
    };
}

/// Each error's code and page, by code. Those of rules are with their rules.
pub(super) const ERRORS: &[(&str, &str)] = pages! {
    FE1001 FE1002 FE1003 FE1004 FE1005 FE1006 FE1007 FE1008 FE1009 FE1010 FE1011 FE2001 FE2002
    FE2003 FE2004 FE2005 FE2006 FE2007 FE2008 FE2009 FE2010 FE2011 FE2012 FE2013 FE2014 FE3001
    FE3002 FE3003 FE3004 FE3005 FE3006 FE3007 FE3008 FE3009 FE3010 FE3011 FE3190 FE3191 FE3192
    FE4001 FE4002 FE4003 FE4004 FE4005 FE4006 FE4007 FE4008 FE4009 FE4010 FE4011 FE4012 FE4013
    FE4014 FE4015 FE5001 FE5002 FE5003 FE5004 FE5005 FE5006 FE5007 FE5008 FE5009
};
