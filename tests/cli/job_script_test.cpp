#include <gtest/gtest.h>

#include <algorithm>

#include "cli/shell.h"

namespace dunlin {
namespace {

using JobScript = Shell;

TEST_F(JobScript, ItsLinesCountUpToTheFirstLineOfCode) {
  environment["FROM_HERE"] = "here";
  write_file("job.sh",
             "#!/bin/sh\n"
             "# A comment, and an empty line.\n"
             "\n"
             "#DUNLIN -c 4 --mem 2G   # for the index\n"
             "##DUNLIN -p 9\n"
             "#DUNLINS are birds\n"
             "  # indented\n"
             "#DUNLIN --env GREETING='good day' --env FROM_HERE\r\n"
             "#DUNLIN --out '*.png' --out b/*\n"
             "\n"
             "work\n"
             "#DUNLIN --retries 7\n");
  const JobSpec spec = spec_of(submit({"job.sh", "a", "b c"}));
  EXPECT_EQ(spec.argv, (std::vector<std::string>{"./job.sh", "a", "b c"}));
  EXPECT_EQ(spec.name, "job.sh");
  EXPECT_EQ(spec.cpus, 4U);
  EXPECT_EQ(spec.memory, 2ULL << 30);
  EXPECT_EQ(spec.priority, 0);
  EXPECT_EQ(spec.retries, 0U);
  EXPECT_EQ(spec.outputs, (std::vector<std::string>{"*.png", "b/*"}));
  EXPECT_EQ(spec.environment,
            (std::map<std::string, std::string>{{"GREETING", "good day"}, {"FROM_HERE", "here"}}));
  EXPECT_EQ(spec.slurm_directory, "");
}

TEST_F(JobScript, WhatIsTypedCountsBeforeWhatIsWritten) {
  write_file("job.sh",
             "#!/bin/sh\n#DUNLIN -J written -c 2\n#SBATCH -c 8\n#SBATCH --mem-per-cpu=1G\n"
             "#SBATCH --array=1-9%4\n",
             0755);
  JobSpec spec = spec_of(submit({"./job.sh"}));
  EXPECT_EQ(spec.name, "written");
  EXPECT_EQ(spec.cpus, 2U);  // dunlin's own lines count before Slurm's
  EXPECT_EQ(spec.memory, 2ULL << 30);
  EXPECT_EQ(spec.limit, 4U);
  spec = spec_of(submit({"-J", "typed", "-c", "4", "--array", "3", "./job.sh"}));
  EXPECT_EQ(spec.name, "typed");
  EXPECT_EQ(spec.memory, 4ULL << 30);  // as much for each cpu as was written
  EXPECT_EQ(spec.tasks, (std::vector<TaskRange>{{3, 3, 1}}));
  EXPECT_EQ(spec.limit, 0U);
  EXPECT_EQ(spec_of(submit({"--mem", "1M", "./job.sh"})).memory, 1ULL << 20);
}

TEST_F(JobScript, WhatIsLookedUpLaterIsNamedByItsLine) {
  write_file("job.sh", "#!/bin/sh\n#DUNLIN -c 2\n#DUNLIN --file none\n");
  EXPECT_EQ(run({"submit", "job.sh"}).err,
            "dunlin: job.sh line 3: #DUNLIN --file: none: No such file or directory\n");
  write_file("job.sh", "#!/bin/sh\n#SBATCH -c 2\n#SBATCH --dependency=afterok:last\n");
  EXPECT_EQ(run({"submit", "job.sh"}).err,
            "dunlin: job.sh line 3: #SBATCH --dependency: there is no job 'last'; see: dunlin jobs "
            "--all\n");
}

TEST_F(JobScript, WithSlurmsLinesNeedsNoXBit) {
  write_file("job.sh", "#!/bin/sh\n#SBATCH -c 2\n");
  EXPECT_EQ(spec_of(submit({"./job.sh"})).files.at(0).mode, 0744U);
  write_file("job.sh", "#!/bin/sh\n#DUNLIN -c 2\n");
  EXPECT_EQ(spec_of(submit({"./job.sh"})).files.at(0).mode, 0644U);
  EXPECT_EQ(spec_of(submit({"job.sh"})).files.at(0).mode, 0744U);
}

TEST_F(JobScript, SlurmsLinesMakeAJobAndWhatIsPassedOverIsNotedOnce) {
  write_file("slurm.sh",
             "#!/bin/bash\n"
             "#SBATCH --job-name=night --cpus-per-task=2\n"
             "#SBATCH --mem=500\n"
             "#SBATCH -t 1-00:00:00\n"
             "#SBATCH -a 0-3\n"
             "#SBATCH --partition=long -A me\n"
             "#SBATCH --mail-type=END --mail-user=me@x\n"
             "#SBATCH -o out.%A_%a -e err.%A_%a\n"
             "#SBATCH -N1 --ntasks=1 --gres=gpu:1 --requeue\n"
             "srun work\n");
  const Ran ran = run({"submit", "slurm.sh"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.err,
            "dunlin: slurm.sh: #SBATCH partition, account, mail: passed over, as it means nothing "
            "here\n"
            "dunlin: slurm.sh: #SBATCH output, error: no file is written (see: dunlin logs JOB)\n");
  const JobSpec spec = spec_of(ran.out.substr(0, ran.out.find('\n')));
  EXPECT_EQ(spec.name, "night");
  EXPECT_EQ(spec.cpus, 2U);
  EXPECT_EQ(spec.memory, 500ULL << 20);
  EXPECT_EQ(spec.time_limit, seconds(86400));
  EXPECT_EQ(spec.tasks, (std::vector<TaskRange>{{0, 3, 1}}));
  EXPECT_EQ(spec.devices.gpus, 1U);
  EXPECT_TRUE(spec.slurm_directory.ends_with(files.path())) << spec.slurm_directory;
}

TEST_F(JobScript, AMistakeIsNamedWithFileAndLine) {
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {"#SBATCH --nodes=2", "#SBATCH --nodes: a task runs on one node, as one process"},
      {"#SBATCH -n 4", "#SBATCH -n: a task runs on one node, as one process"},
      {"#SBATCH --exclusive", "#SBATCH --exclusive is not honoured here"},
      {"#SBATCH --time=1h", "#SBATCH --time: '1h' is no time limit of Slurm's"},
      {"#SBATCH -c four", "#SBATCH -c: 'four' is no whole number"},
      {"#SBATCH --job-name='x", "#SBATCH the quote ' is not closed"},
      {"#DUNLIN --cpu 4", "#DUNLIN unknown option --cpu; did you mean --cpus?"},
      {"#DUNLIN -c 4 work", "#DUNLIN 'work' is no option"},
      {"#DUNLIN --json", "#DUNLIN unknown option --json"},
  };
  for (const auto& [line, complaint] : wrong) {
    write_file("bad.sh", "#!/bin/sh\n\n" + line + "\n");
    const Ran ran = run({"submit", "bad.sh"});
    EXPECT_EQ(ran.code, 2) << line;
    EXPECT_TRUE(ran.err.starts_with("dunlin: bad.sh line 3: " + complaint)) << ran.err;
    EXPECT_EQ(std::count(ran.err.begin(), ran.err.end(), '\n'), 1) << ran.err;
  }
  write_file("bad.sh", "#!/bin/sh\n#DUNLIN -c 4\n#DUNLIN -c 5\n");
  EXPECT_NE(run({"submit", "bad.sh"}).err.find("line 3: #DUNLIN --cpus is given twice"),
            std::string::npos);
  write_file("bad.sh", "#!/bin/sh\n#SBATCH --mem=1G\n#SBATCH --mem-per-cpu=1G\n");
  EXPECT_NE(run({"submit", "bad.sh"}).err.find("line 3: #SBATCH --mem and --mem-per-cpu exclude"),
            std::string::npos);
  write_file("bad.sh", "#!/bin/sh\r\nhostname\r\n");
  EXPECT_TRUE(run({"submit", "bad.sh"})
                  .err.starts_with("dunlin: bad.sh has line ends of Windows, and no host would "
                                   "find its interpreter; take"));
  write_file("bad.sh", "#!/bin/sh\n" + std::string(300'000, '#') + "\nx\n");
  EXPECT_EQ(run({"submit", "bad.sh"}).code, 5);
}

TEST_F(JobScript, ThatIsNotHereIsASlipWhereNothingElseCanBearItsName) {
  EXPECT_EQ(run({"submit", "./absent.sh"}).code, 4);
  EXPECT_EQ(
      run({"submit", "below/absent"}).err,
      "dunlin: there is no file below/absent here; give its path as seen from here; what lies "
      "on the hosts is named by a whole path\n");
  server.on_loop([](FakeNode& node) { EXPECT_TRUE(node.jobs.empty()); });
  EXPECT_EQ(run({"submit", "--chdir", "/srv", "below/absent"}).code, 0);
  EXPECT_EQ(run({"submit", "/srv/absent.sh"}).err, "");
  const Ran ran = run({"submit", "absent.sh"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.err,
            "dunlin: there is no file absent.sh here: taken as a command that the hosts have\n");
}

TEST_F(JobScript, RunTakesThemForTheCommentsTheyAre) {
  write_file("job.sh", "#!/bin/sh\n#SBATCH --nodes=2\n", 0755);
  const Ran ran = run({"run", "--dry-run", "--json", "./job.sh"});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find(R"("slurm_dir":null)"), std::string::npos);
}

}  // namespace
}  // namespace dunlin
