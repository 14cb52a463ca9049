//! A system call of a start, as src/bin/fail tells of it.

/// One line of the log.
#[derive(Clone, Debug)]
pub struct Call {
    /// Which of the start's processes makes it.
    pub role: String,
    pub name: String,
    /// Its place among the calls of this name that the role makes.
    count: String,
    pub arguments: String,
}

impl Call {
    pub fn of_line(line: &str) -> Self {
        let words: Vec<_> = line.splitn(4, ' ').map(str::to_owned).collect();
        let [role, name, count, arguments] = words
            .try_into()
            .unwrap_or_else(|_| panic!("no call: {line}"));
        Self {
            role,
            name,
            count,
            arguments,
        }
    }

    /// What makes the tool let this call fail, with EIO: of none of them an answer
    /// that means something else.
    pub fn fault(&self) -> String {
        const EIO: i32 = 5;
        format!("{}:{}:{}:{EIO}", self.role, self.name, self.count)
    }

    /// The same for calls that differ in nothing but descriptors, sizes and such,
    /// which for prctl says what it is asked for.
    pub fn shape(&self) -> String {
        let kept = |c: &char| self.name == "prctl" || !c.is_ascii_digit();
        let arguments: String = self.arguments.chars().filter(kept).collect();
        format!("{} {} {arguments}", self.role, self.name)
    }

    pub fn is(&self, role: &str, name: &str) -> bool {
        (&*self.role, &*self.name) == (role, name)
    }
}
